import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { generateKeyPairSync } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { stringify } from "yaml";
import { digest, samplePod } from "../admission/pods.ts";
import { exampleManifest } from "../environment/example.ts";
import { patchedPod, reviewPod } from "../environment/review.ts";
import { MAIN, startWebhookProcess } from "../environment/webhook-process.ts";

describe("wasmount plan", () => {
  let folder: string;
  let manifest: string;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "wasmount-plan-"));
    for (const name of ["plan", "other"]) {
      const { privateKey, publicKey } = generateKeyPairSync("ed25519");
      await writeFile(join(folder, `${name}.key`), privateKey.export({ type: "pkcs8", format: "pem" }));
      await writeFile(join(folder, `${name}.pub`), publicKey.export({ type: "spki", format: "pem" }));
    }
    const namespaceFile = join(folder, "namespace.yaml");
    await writeFile(namespaceFile, await exampleManifest("namespace"));
    const webhook = await startWebhookProcess({
      folder,
      namespaces: ["--namespace-file", namespaceFile],
      config: { fetcher: { image: "wasmount:test" }, plan: { signingKeyFile: join(folder, "plan.key") } },
    });
    const { metadata, spec } = samplePod();
    const pod = { metadata: { ...metadata, ownerReferences: [{ uid: "uid-1", controller: true }] }, spec };
    const patched = patchedPod(pod, await reviewPod(webhook.url, webhook.ca, pod, "shop"));
    await webhook.stop();
    manifest = stringify({ apiVersion: "v1", kind: "Pod", ...patched });
  });

  after(() => rm(folder, { recursive: true }));

  async function run(input: string, ...args: string[]): Promise<{ code: number; output: string }> {
    const child = spawn(process.execPath, [MAIN, "plan", ...args], { cwd: folder, stdio: ["pipe", "pipe", "pipe"] });
    let output = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", text => {
        output += text;
      });
    }
    child.stdin.end(input);
    const [code] = (await once(child, "close")) as [number];
    return { code, output };
  }

  it("shows what was decided for a pod", async () => {
    const { code, output } = await run(manifest, "show");
    assert.equal(code, 0, output);
    assert.match(output, /^plan [0-9a-f]{64}\n {2}signature {3}signed by key [0-9a-f]{16}\n/);
    assert.match(output, /owner {7}uid-1/);
    assert.ok(
      output.includes(`filter headers in slot in-last-01\n  module      registry.example/headers@${digest("a")}`),
    );
  });

  it("shows it as JSON", async () => {
    const { output } = await run(manifest, "show", "--json");
    assert.equal(JSON.parse(output).filters[0].digest, digest("a"));
  });

  it("verifies it with the release's keys, one of which is enough", async () => {
    const { code, output } = await run(manifest, "verify", "--key", "other.pub", "plan.pub");
    assert.equal(code, 0, output);
    assert.match(output, /is signed by key [0-9a-f]{16} for namespace shop, owner uid-1/);
  });

  const refusals: [title: string, change: (text: string) => string, key: string, code: number, message: RegExp][] = [
    ["a key that did not sign", text => text, "other.pub", 1, /signed by key "[0-9a-f]{16}", trusted are/],
    [
      "a pod of another owner",
      text => text.replace("uid: uid-1", "uid: uid-2"),
      "plan.pub",
      1,
      /not one of key .* for owner uid-2/,
    ],
    [
      "a pod of another namespace",
      text => text.replace("namespace: shop", "namespace: mall"),
      "plan.pub",
      1,
      /in namespace mall/,
    ],
    [
      "a plan that was changed",
      text => text.replace(/(WASMOUNT_PLAN_SHA256\n\s+value: )\S{8}/, "$100000000"),
      "plan.pub",
      1,
      /hash/,
    ],
    [
      "a pod without a fetcher",
      text => text.replace("name: wasmount-fetch", "name: other"),
      "plan.pub",
      2,
      /no init container wasmount-fetch/,
    ],
    [
      "a pod whose init containers are no list",
      text => text.replace(/initContainers:[\s\S]*/, "initContainers: x\n"),
      "plan.pub",
      2,
      /no init container wasmount-fetch/,
    ],
    [
      "a plan without a signature",
      text => text.replace("WASMOUNT_PLAN_SIGNATURE", "OTHER"),
      "plan.pub",
      1,
      /trusted are/,
    ],
    ["what is no pod", () => "kind: Service\n", "plan.pub", 2, /not the manifest of a Pod/],
    ["a key file that is missing", text => text, "nowhere.pub", 2, /nowhere\.pub/],
    ["a file that is no key", text => text, "namespace.yaml", 2, /SPKI PEM/],
  ];
  for (const [title, change, key, expected, message] of refusals) {
    it(`refuses ${title} with exit code ${expected}`, async () => {
      const changed = change(manifest);
      const { code, output } = await run(changed, "verify", "--key", key);
      assert.equal(code, expected, output);
      assert.match(output, message);
    });
  }
});
