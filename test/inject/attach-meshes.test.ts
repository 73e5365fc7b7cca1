import assert from "node:assert/strict";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { runAttach } from "../../src/inject/attach.ts";
import { meshFixtures } from "../admission/mesh-fixtures.ts";
import { streamOf } from "./injecting.ts";

const folder = new URL("../fixtures/attach/", import.meta.url);
/** `UPDATE_GOLDEN=1` writes them anew, for somebody to look at the difference. */
const update = process.env["UPDATE_GOLDEN"] === "1";

const two = {
  "wasmount.dev/module.auth": `registry.example/auth@sha256:${"b".repeat(64)}`,
  "wasmount.dev/root-id.auth": "auth_root",
  "wasmount.dev/config.auth": '{"realm":"shop"}',
  "wasmount.dev/capabilities.auth": "proxy_log",
};

describe("wasmount attach prints the golden objects of", () => {
  for (const { name, pod } of meshFixtures().filter(fixture => /-(native|classic)$/.test(fixture.name))) {
    it(name, async () => {
      const { text, messages, incomplete } = await runAttach({
        files: ["-"],
        stdin: streamOf(
          JSON.stringify({
            apiVersion: "v1",
            kind: "Pod",
            ...pod,
            metadata: {
              ...pod.metadata,
              labels: { ...pod.metadata.labels, "wasmount.dev/inject": "true" },
              annotations: { ...pod.metadata.annotations, ...two },
            },
          }),
        ),
        namespace: "shop",
        namespaceFile: null,
        config: fileURLToPath(new URL("config.yaml", folder)),
        fetcherImage: "registry.example/wasmount:1",
        dataPlane: name.startsWith("kuma") ? "kuma" : "consul",
        json: false,
      });
      assert.equal(incomplete, false, messages.join("\n"));
      // One object serves pods of every kind.
      const file = new URL(`${name.replace(/-.*/, "")}.yaml`, folder);
      if (update) {
        mkdirSync(folder, { recursive: true });
        writeFileSync(file, text);
      }
      assert.ok(existsSync(file), "no golden file yet: UPDATE_GOLDEN=1 writes it");
      assert.equal(text, readFileSync(file, "utf8"));
    });
  }
});
