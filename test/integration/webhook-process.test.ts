import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parse, stringify } from "yaml";
import { digest, samplePod } from "../admission/pods.ts";
import { exampleManifest } from "../environment/example.ts";
import { operationsOf, reviewPod } from "../environment/review.ts";
import { MAIN, startWebhookProcess, type WebhookProcess } from "../environment/webhook-process.ts";

describe("wasmount webhook", () => {
  let folder: string;
  let namespaceFile: string;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "wasmount-process-"));
    namespaceFile = join(folder, "namespace.yaml");
    await writeFile(namespaceFile, await exampleManifest("namespace"));
  });

  after(() => rm(folder, { recursive: true, force: true }));

  function start(config: Record<string, unknown> = {}): Promise<WebhookProcess> {
    const namespaces = ["--namespace-file", namespaceFile] as const;
    return startWebhookProcess({ folder, namespaces, config: { fetcher: { image: "wasmount:test" }, ...config } });
  }

  async function run(...args: string[]): Promise<{ code: number; output: string }> {
    const child = spawn(process.execPath, [MAIN, ...args], { stdio: ["ignore", "pipe", "pipe"] });
    let output = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", text => {
        output += text;
      });
    }
    const [code] = (await once(child, "close")) as [number];
    return { code, output };
  }

  it("decides with the namespace's labels and annotations, and logs what it decided", async () => {
    const webhook = await start();
    try {
      const injected = await reviewPod(webhook.url, webhook.ca, samplePod(), "shop");
      assert.equal(injected.auditAnnotations["decision"], "Injected");
      assert.ok(operationsOf(injected).length > 0);
      const denied = await reviewPod(
        webhook.url,
        webhook.ca,
        samplePod({ annotations: { "wasmount.dev/x": "y" } }),
        "shop",
      );
      assert.equal(denied.auditAnnotations["reason"], "UnknownKey");
    } finally {
      assert.equal(await webhook.stop(), 0);
    }
    const decided = webhook
      .log()
      .trim()
      .split("\n")
      .map(line => JSON.parse(line))
      .filter(({ msg }) => msg === "decided");
    assert.deepEqual(
      decided.map(({ outcome, reason, pod, namespace }) => [outcome, reason, pod, namespace]),
      [
        ["Injected", "Injected", "shop", "shop"],
        ["Denied", "UnknownKey", "shop", "shop"],
      ],
    );
    assert.ok(decided[0].detail.includes(digest("a")));
  });

  it("fails a review of a namespace that it does not know, instead of deciding", async () => {
    const webhook = await start();
    try {
      await assert.rejects(reviewPod(webhook.url, webhook.ca, samplePod(), "elsewhere"), /answered 500/);
    } finally {
      await webhook.stop();
    }
    assert.match(webhook.log(), /namespace elsewhere does not exist/);
  });

  it("drains on SIGTERM: not ready first, then gone with exit code 0", async () => {
    const webhook = await start({ listen: undefined });
    assert.equal((await fetch(`${webhook.plainUrl}/readyz`)).status, 200);
    assert.equal(await webhook.stop(), 0);
    assert.match(webhook.log(), /"msg":"draining".*"msg":"stopped"/s);
    await assert.rejects(fetch(`${webhook.plainUrl}/readyz`));
  });

  it("drains to the end whatever more signals come", async () => {
    const webhook = await start({
      listen: { address: "127.0.0.1", port: 0, plainPort: 0, drainSeconds: 1, lingerSeconds: 0 },
    });
    const [first, second] = await Promise.all([webhook.stop(), webhook.stop()]);
    assert.deepEqual([first, second], [0, 0]);
    assert.equal(webhook.log().match(/"msg":"draining"/g)?.length, 1);
    assert.match(webhook.log(), /"msg":"stopped"/);
  });

  it("ends quietly where nobody reads on", async () => {
    const child = spawn(process.execPath, [MAIN, "--help"], { stdio: ["ignore", "pipe", "pipe"] });
    child.stdout.destroy();
    let complaint = "";
    child.stderr.setEncoding("utf8").on("data", text => {
      complaint += text;
    });
    const [code] = (await once(child, "close")) as [number];
    assert.deepEqual([code, complaint], [0, ""]);
  });

  it("refuses a configuration with exit code 2, naming file, key and nearest spelling", async () => {
    const file = join(folder, "bad.yaml");
    await writeFile(file, "tls: {certFile: a, keyFile: b}\nfetcher: {image: c}\nlimts: {}\n");
    const { code, output } = await run("webhook", "--config", file, "--namespace-file", namespaceFile);
    assert.equal(code, 2);
    assert.match(output, /bad\.yaml: the configuration has the unknown key limts: did you mean limits\?/);
  });

  it("ends with exit code 2 where a port is taken or the certificate is none, naming the setting", async () => {
    const taken = createServer();
    taken.listen(0, "127.0.0.1");
    await once(taken, "listening");
    const webhook = await start();
    await webhook.stop();
    const good = parse(await readFile(join(folder, "wasmount.yaml"), "utf8"));
    const refusal = async (changes: Record<string, unknown>) => {
      const file = join(folder, "changed.yaml");
      await writeFile(file, stringify({ ...good, ...changes }));
      return run("webhook", "--config", file, "--namespace-file", namespaceFile);
    };
    try {
      const { port } = taken.address() as AddressInfo;
      const cases: [changes: Record<string, unknown>, message: RegExp][] = [
        [{ listen: { ...good.listen, port } }, /can't listen on 127\.0\.0\.1:\d+ \(listen\.port\): .*EADDRINUSE/],
        [{ listen: { ...good.listen, plainPort: port } }, /\(listen\.plainPort\): .*EADDRINUSE/],
        [{ tls: { ...good.tls, certFile: "/nowhere" } }, /can't read tls\.certFile: .*\/nowhere/],
        [{ tls: { ...good.tls, keyFile: good.tls.certFile } }, /are no certificate with its key/],
      ];
      for (const [changes, message] of cases) {
        const { code, output } = await refusal(changes);
        assert.equal(code, 2, output);
        assert.match(output, message);
      }
    } finally {
      taken.close();
    }
  });

  it("says that without a cluster there is no Secret to keep certificates and keys in", async () => {
    const fetcher = "fetcher: {image: c}";
    for (const [text, message] of [
      [`tls: {self: {dnsNames: [a.svc]}}\n${fetcher}`, /tls\.self needs a cluster/],
      [`tls: {certFile: a, keyFile: b}\n${fetcher}\nplan: {keysSecret: keys}`, /plan\.keysSecret needs a cluster/],
    ] as const) {
      const file = join(folder, "no-cluster.yaml");
      await writeFile(file, text);
      const { code, output } = await run("webhook", "--config", file, "--namespace-file", namespaceFile);
      assert.equal(code, 2, output);
      assert.match(output, message);
    }
  });

  it("names a kubeconfig that it can't use", async () => {
    const { code, output } = await run(
      "webhook",
      "--config",
      join(folder, "wasmount.yaml"),
      "--kubeconfig",
      "/nowhere",
    );
    assert.equal(code, 2, output);
    assert.match(output, /--kubeconfig \/nowhere/);
  });

  it("refuses namespaces that are none with exit code 2", async () => {
    const config = join(folder, "good.yaml");
    await writeFile(config, "tls: {certFile: a, keyFile: b}\nfetcher: {image: c}\n");
    const file = join(folder, "pods.yaml");
    await writeFile(file, "kind: Pod\nmetadata: {name: a}\n");
    const { code, output } = await run("webhook", "--config", config, "--namespace-file", file);
    assert.equal(code, 2);
    assert.match(output, /pods\.yaml, document 1: expected kind Namespace/);
  });

  it("says what a usage error is, with exit code 2", async () => {
    const missing = await run("webhook");
    assert.equal(missing.code, 2);
    assert.match(missing.output, /required option '-c, --config <file>'/);
    const unknown = await run("webhok");
    assert.equal(unknown.code, 2);
    assert.match(unknown.output, /Did you mean webhook\?/);
  });

  it("helps, with examples, and exit code 0", async () => {
    for (const args of [["--help"], ["webhook", "--help"], ["check", "--help"]]) {
      const { code, output } = await run(...args);
      assert.equal(code, 0);
      assert.match(output, /Examples:/);
    }
    assert.match((await run("fetch", "--help")).output, /Exit codes: 0 done, 2 no usable plan/);
  });
});
