import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { applyPatch, type Operation } from "rfc6902";
import { podPlan } from "../../src/plan/pod-plan.ts";
import { assertInjected, deployment, documents, inject, MODULE, template } from "./injecting.ts";

const pod = { apiVersion: "v1", kind: "Pod", ...template() };

describe("the output of injection", () => {
  let folder: string;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "wasmount-inject-"));
  });

  after(() => rm(folder, { recursive: true }));

  async function file(name: string, text: string): Promise<string> {
    const path = join(folder, name);
    await writeFile(path, text);
    return path;
  }

  it("is YAML for YAML and JSON for JSON", async () => {
    const yaml = await inject(deployment());
    assert.equal((await inject(deployment(), { output: "yaml" })).text, yaml.text);
    assert.match(yaml.text, /^apiVersion: apps\/v1\n/);
    const json = await inject(JSON.stringify(pod));
    assert.equal((await inject(JSON.stringify(pod), { output: "json" })).text, json.text);
    assertInjected(JSON.parse(json.text));
  });

  it("is JSON for YAML if asked for, several documents as one List", async () => {
    const one = await inject(deployment(), { output: "json" });
    assert.equal(JSON.parse(one.text).kind, "Deployment");
    const several = await inject(`${deployment()}---\n# none\n---\nkind: X\nmode: 0644\n`, { output: "json" });
    const list = JSON.parse(several.text);
    assert.deepEqual([list.apiVersion, list.kind, list.items.length], ["v1", "List", 2]);
    assertInjected(list.items[0].spec.template);
    assert.deepEqual(list.items[1], { kind: "X", mode: 0o644 });
  });

  it("is YAML for JSON if asked for", async () => {
    const odd = {
      s: "yes",
      n: "1:30",
      e: "",
      t: "a: b #c",
      l: "x\n y\u2028",
      m: [[], {}, [["- x"]]],
      u: 'say "it\'s"',
    };
    const before = { ...pod, odd };
    const { text } = await inject(JSON.stringify(before), { output: "yaml" });
    const [after] = documents(text) as [typeof before];
    assertInjected(after);
    assert.deepEqual(after.odd, odd);
    assert.match(text, /^apiVersion: v1\nkind: Pod\nmetadata:\n/);
  });

  it("is refused as JSON where JSON can't say it", async () => {
    const refused = (text: string, message: RegExp) =>
      assert.rejects(inject(text, { output: "json" }), { code: "Inexpressible", message });
    await refused(
      "a: 12345678901234567890\n",
      /the number 12345678901234567000 can't be kept exactly in JSON: quote it/,
    );
    await refused("a: .inf\n", /the number Infinity/);
    await refused("a: 1\n---\n- b\n", /^standard input, document 2 is no object, and can't be an item of a List/);
  });

  it("is a patch that gives the object as it is injected", async () => {
    const { text } = await inject(`kind: X\n---\n${deployment()}`, { output: "patch" });
    const [only, ...others] = JSON.parse(text) as {
      kind: string;
      namespace: string;
      name: string;
      patch: Operation[];
    }[];
    assert.deepEqual(others, []);
    assert.deepEqual([only?.kind, only?.namespace, only?.name], ["Deployment", "shop", "web"]);
    const [object] = documents(deployment());
    const results = applyPatch(object, only?.patch ?? []);
    assert.ok(results.every(result => result === null));
    assert.deepEqual([object], documents((await inject(deployment())).text));
  });

  it("is an AdmissionReview with a patch of the pod", async () => {
    const { text } = await inject(deployment(), { output: "review" });
    const [{ kind, response }] = JSON.parse(text);
    assert.equal(kind, "AdmissionReview");
    assert.deepEqual([response.uid, response.allowed], ["Deployment/shop/web", true]);
    const patch = JSON.parse(Buffer.from(response.patch, "base64").toString()) as Operation[];
    const [{ spec }] = documents(deployment()) as [{ spec: { template: object } }];
    applyPatch(spec.template, patch);
    assertInjected(spec.template);
  });

  it("joins files into one stream of documents", async () => {
    const files = [await file("a.yaml", "a: 1"), await file("b.yaml", "---\nb: 2\n"), await file("c.json", '{"c": 3}')];
    const { text } = await inject("", { files: [...files, await file("d.yaml", "%YAML 1.1\n---\nd: 4\n")] });
    assert.equal(text, 'a: 1\n---\nb: 2\n---\n{"c": 3}\n...\n%YAML 1.1\n---\nd: 4\n');
    assert.deepEqual(documents(text), [{ a: 1 }, { b: 2 }, { c: 3 }, { d: 4 }]);
  });

  describe("of denied pods", () => {
    const denied = `${deployment()}---\n${deployment({ name: "other", module: "oci://UPPER/x" })}`;
    const line =
      /^Deployment shop\/other in standard input, document 2: Denied: BadReference: A module annotation is not a valid OCI reference\. .*UPPER/;

    for (const output of ["same", "yaml", "json", "patch"] as const) {
      it(`is nothing but the reason (${output})`, async () => {
        const result = await inject(denied, { output });
        assert.deepEqual([result.text, result.denied, result.messages.length], ["", true, 1]);
        assert.match(result.messages[0] ?? "", line);
      });
    }

    it("is all AdmissionReviews, if they are asked for: the denial is one of them", async () => {
      const result = await inject(denied, { output: "review" });
      assert.match(result.messages[0] ?? "", line);
      assert.equal(result.denied, true);
      const reviews = JSON.parse(result.text) as { response: { allowed: boolean } }[];
      assert.deepEqual(
        reviews.map(({ response }) => response.allowed),
        [true, false],
      );
    });

    it("says of the others, too, what was decided, if asked to", async () => {
      const { messages } = await inject(denied, { explain: true });
      assert.deepEqual(
        messages.map(message => message.split(": ", 2).join(": ")),
        ["Deployment shop/web: Injected", "Deployment shop/other in standard input, document 2: Denied"],
      );
    });

    it("shows nothing invisible of what it quotes", async () => {
      const { messages } = await inject(deployment({ module: '"a\\u001b[2Jb"' }));
      assert.match(messages.join(), /BadReference/);
      assert.doesNotMatch(messages.join(), /\p{C}/u);
    });
  });

  it("warns of a filter that may be left out", async () => {
    const config = await file(
      "wasmount.yaml",
      "tls: {certFile: c, keyFile: k}\nfetcher: {image: registry.example/w:1}\nfailure: {allowOpen: true}\n",
    );
    const text = deployment().replace("    spec:\n", "        wasmount.dev/on-failure.headers: open\n    spec:\n");
    const { messages, denied } = await inject(text, { config });
    assert.equal(denied, false);
    assert.match(messages.join(), /^Warning: Deployment shop\/web: wasmount: filter headers is left out where/);
    assert.match((await inject(text)).messages.join(), /Denied: OpenFailureForbidden/);
  });

  it("follows the operator's configuration", async () => {
    const config = await file(
      "own.yaml",
      "tls: {certFile: c, keyFile: k}\nfetcher: {image: registry.example/own:2}\nvolume: {mountPath: /own}\n",
    );
    const { text } = await inject(deployment(), { config });
    assert.match(text, /image: registry\.example\/own:2\n/);
    assert.match(text, /\/own\/bootstrap\/etc\/envoy\/envoy\.yaml/);
    const bad = await file("bad.yaml", "tls: {}\n");
    await assert.rejects(inject(deployment(), { config: bad }), { name: "ConfigError", message: /bad\.yaml/ });
  });

  it("reads namespaces from a file, before those in the input", async () => {
    const namespaceFile = await file(
      "namespaces.yaml",
      `kind: Namespace\nmetadata:\n  name: shop\n  labels: {wasmount.dev/inject: "true"}\n  annotations: {wasmount.dev/module.n: ${MODULE}}\n`,
    );
    const bare = deployment().replace(/ {6}annotations:\n.*\n/, "");
    const beside = `apiVersion: v1\nkind: Namespace\nmetadata: {name: shop, annotations: {wasmount.dev/module.m: ${MODULE}}}\n`;
    const explained = async (options: object, text = bare) =>
      (await inject(text, { explain: true, ...options })).messages.join();
    assert.match(await explained({}), /Skipped: NoFilters/);
    assert.match(await explained({ namespaceFile }), /container envoy: n@sha256/);
    assert.match(await explained({}, `${bare}---\n${beside}`), /container envoy: m@sha256/);
    assert.match(await explained({ namespaceFile }, `${bare}---\n${beside}`), /container envoy: n@sha256/);
    assert.match(await explained({ namespaceFile }, bare.replace("shop", "mall")), /Skipped: NoFilters/);
    await assert.rejects(inject(bare, { namespaceFile: join(folder, "none.yaml") }), { name: "KubeError" });
  });

  it("signs pods, and no templates: nothing is known yet of the owner that a signature is bound to", async () => {
    const { privateKey } = generateKeyPairSync("ed25519");
    const key = await file("plan.key", privateKey.export({ type: "pkcs8", format: "pem" }).toString());
    const config = await file(
      "signing.yaml",
      `tls: {certFile: c, keyFile: k}\nfetcher: {image: registry.example/w:1}\nplan: {signingKeyFile: ${key}}\n`,
    );
    const own = await inject(JSON.stringify(pod), { config, namespace: "shop" });
    assert.match(podPlan(own.text, "the pod").signature, /^[0-9a-f]{16}\./);
    assert.equal((await inject(own.text, { config, namespace: "shop" })).text, own.text);
    const templated = await inject(deployment(), { config });
    assert.doesNotMatch(templated.text, /SIGNATURE/);
    const locked = `---\napiVersion: v1\nkind: Namespace\nmetadata: {name: shop, labels: {wasmount.dev/locked: "true"}, annotations: {wasmount.dev/module.headers: ${MODULE}}}\n`;
    const unasked = deployment()
      .replace(/ {6}annotations:\n.*\n/, "")
      .replace(/ {8}wasmount.dev\/inject.*\n/, "");
    const first = await inject(unasked + locked, { config });
    assert.match(first.text, /wasmount-fetch/);
    assert.equal((await inject(first.text, { config })).text, first.text);
  });
});
