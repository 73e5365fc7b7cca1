import assert from "node:assert/strict";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { runAttach } from "../../src/inject/attach.ts";
import { gatewayFixtures } from "../admission/gateway-fixtures.ts";
import { streamOf } from "./injecting.ts";

const folder = new URL("../fixtures/attach/", import.meta.url);
/** `UPDATE_GOLDEN=1` writes them anew, for somebody to look at the difference. */
const update = process.env["UPDATE_GOLDEN"] === "1";

describe("wasmount attach prints the golden objects of", () => {
  for (const { name, pod, dataPlanes } of gatewayFixtures()) {
    it(name, async () => {
      assert.ok(dataPlanes[0]);
      const labels = { ...pod.metadata.labels, "wasmount.dev/inject": "true" };
      const { text, messages, incomplete } = await runAttach({
        files: ["-"],
        stdin: streamOf(
          JSON.stringify({ apiVersion: "v1", kind: "Pod", ...pod, metadata: { ...pod.metadata, labels } }),
        ),
        namespace: "default",
        namespaceFile: null,
        config: null,
        fetcherImage: "registry.example/wasmount:0.1.0",
        dataPlane: dataPlanes[0].name,
        json: false,
      });
      assert.equal(incomplete, false, messages.join("\n"));
      assert.match(messages.join("\n"), /Warning: .*requests pass unfiltered/);
      const file = new URL(`${name}.yaml`, folder);
      if (update) {
        mkdirSync(folder, { recursive: true });
        writeFileSync(file, text);
      }
      assert.ok(existsSync(file), "no golden file yet: UPDATE_GOLDEN=1 writes it");
      assert.equal(text, readFileSync(file, "utf8"));
    });
  }
});
