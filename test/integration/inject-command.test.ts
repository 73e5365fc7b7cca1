import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { MAIN } from "../environment/webhook-process.ts";
import { assertInjected, deployment, documents } from "../inject/injecting.ts";

interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

describe("wasmount inject", () => {
  let folder: string;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "wasmount-inject-"));
    await writeFile(join(folder, "web.yaml"), deployment());
    await writeFile(join(folder, "plain.yaml"), "kind:   X # kept\n");
    await writeFile(join(folder, "denied.yaml"), deployment({ module: "UPPER/x" }));
    await writeFile(join(folder, "broken.yaml"), "a: [");
  });

  after(() => rm(folder, { recursive: true }));

  async function run(args: readonly string[], input = ""): Promise<Outcome> {
    const child = spawn(process.execPath, [MAIN, "inject", ...args], { cwd: folder, stdio: ["pipe", "pipe", "pipe"] });
    const output = { stdout: "", stderr: "" };
    for (const name of ["stdout", "stderr"] as const) {
      child[name].setEncoding("utf8").on("data", text => {
        output[name] += text;
      });
    }
    // Who finds its arguments wrong does not read.
    child.stdin.on("error", () => {});
    child.stdin.end(input);
    const [code] = (await once(child, "close")) as [number];
    return { code, ...output };
  }

  it("prints injected manifests, from a file and from its input alike", async () => {
    const file = await run(["-f", "web.yaml", "--explain"]);
    assert.equal(file.code, 0, file.stderr);
    assert.match(file.stderr, /^Deployment shop\/web: Injected: .*\n$/);
    const [{ spec }] = documents(file.stdout) as [{ spec: { template: object } }];
    assertInjected(spec.template);
    const piped = await run(["--filename", "-"], deployment());
    assert.deepEqual(piped, { code: 0, stdout: file.stdout, stderr: "" });
    assert.deepEqual(await run(["-f", "-"], file.stdout), piped);
  });

  it("takes several files", async () => {
    const { code, stdout } = await run(["-f", "plain.yaml", "-f", "web.yaml"]);
    assert.equal(code, 0);
    assert.ok(stdout.startsWith("kind:   X # kept\n---\napiVersion: apps/v1\n"));
  });

  it("is done, with exit code 0, where there is nothing to inject", async () => {
    assert.deepEqual(await run(["-f", "plain.yaml"]), { code: 0, stdout: "kind:   X # kept\n", stderr: "" });
  });

  it("prints nothing but the reason, with exit code 1, where a pod is denied", async () => {
    const { code, stdout, stderr } = await run(["-f", "web.yaml", "-f", "denied.yaml"]);
    assert.deepEqual([code, stdout], [1, ""]);
    assert.match(stderr, /^Deployment shop\/web in denied\.yaml: Denied: BadReference: .*\.\n$/);
  });

  it("writes no more than its users want to read", async () => {
    const child = spawn(process.execPath, [MAIN, "inject", "-f", "web.yaml"], { cwd: folder, stdio: "pipe" });
    child.stdout.destroy();
    child.stderr.resume();
    const [code] = (await once(child, "close")) as [number];
    assert.equal(code, 0);
  });

  const usage: readonly [title: string, args: readonly string[], message: RegExp][] = [
    ["no file", [], /required option '-f, --filename <file>'/],
    ["a file that is not there", ["-f", "none.yaml"], /^wasmount inject: none\.yaml can't be read: ENOENT/],
    ["broken YAML", ["-f", "broken.yaml"], /^wasmount inject: broken\.yaml is neither YAML nor JSON: .* at line/],
    [
      "an unknown data plane",
      ["-f", "web.yaml", "--data-plane", "isto"],
      /'isto' is invalid\. Allowed choices are envoy, istio, kuma,/,
    ],
    ["an unknown form", ["-f", "web.yaml", "-o", "xml"], /Allowed choices are yaml, json, patch, review\./],
    ["a form for a review", ["-f", "-", "--review", "-o", "json"], /'--review' cannot be used with option '-o/],
    ["two images", ["-f", "-", "--config", "x", "--fetcher-image", "y"], /cannot be used with option '--config/],
    ["no review", ["-f", "plain.yaml", "--review"], /^wasmount inject: plain\.yaml: the body is not JSON\n$/],
    [
      "a configuration that is not there",
      ["-f", "-", "--config", "none"],
      /^wasmount inject: can't read the configuration none/,
    ],
    [
      "namespaces that are none",
      ["-f", "web.yaml", "--namespace-file", "plain.yaml"],
      /plain\.yaml, document 1: expected kind Namespace/,
    ],
  ];
  for (const [title, args, message] of usage) {
    it(`ends with exit code 2 for ${title}`, async () => {
      const { code, stdout, stderr } = await run(args);
      assert.deepEqual([code, stdout], [2, ""]);
      assert.match(stderr, message);
    });
  }

  it("reads and writes AdmissionReviews", async () => {
    const request = { uid: "u", operation: "CREATE", resource: { resource: "pods" }, namespace: "shop" };
    const object = { metadata: {}, spec: { containers: [] } };
    const review = { apiVersion: "admission.k8s.io/v1", kind: "AdmissionReview", request: { ...request, object } };
    const { code, stdout } = await run(["--review", "-f", "-"], JSON.stringify(review));
    assert.equal(code, 0);
    assert.deepEqual(JSON.parse(stdout).response.auditAnnotations, { decision: "Skipped", reason: "NotSwitchedOn" });
  });

  it("says what it does, with examples", async () => {
    const { code, stdout } = await run(["--help"]);
    assert.equal(code, 0);
    assert.match(stdout, /Exit codes: 0 injected or skipped, 1 a pod is denied, 2 /);
    assert.match(stdout, /\$ wasmount inject -f web\.yaml --explain \| kubectl apply -f -/);
  });
});
