import assert from "node:assert/strict";
import { assertInjected, documents, inject, MODULE, template } from "./injecting.ts";

const [POD, TEMPLATE] = [[], ["spec", "template"]];
const kinds: readonly [kind: string, apiVersion: string, podPath: readonly string[]][] = [
  ["Pod", "v1", POD],
  ["Deployment", "apps/v1", TEMPLATE],
  ["StatefulSet", "apps/v1", TEMPLATE],
  ["DaemonSet", "apps/v1", TEMPLATE],
  ["ReplicaSet", "apps/v1", TEMPLATE],
  ["Job", "batch/v1", TEMPLATE],
  ["CronJob", "batch/v1", ["spec", "jobTemplate", "spec", "template"]],
];

/** An object of a kind whose pod stands at a path. */
function workload(kind: string, apiVersion: string, podPath: readonly string[], pod: object = template()): object {
  const nested = podPath.reduceRight<object>((value, member) => ({ [member]: value }), pod);
  const metadata = { name: "web", namespace: "shop", ...("metadata" in nested ? (nested.metadata as object) : {}) };
  return { apiVersion, kind, ...nested, metadata };
}

function at(value: unknown, path: readonly (string | number)[]): unknown {
  return path.reduce<unknown>((found, member) => (found as Record<string | number, unknown>)[member], value);
}

describe("injection into manifests", () => {
  for (const [kind, apiVersion, podPath] of kinds) {
    it(`finds the pod of a ${kind}`, async () => {
      const before = workload(kind, apiVersion, podPath);
      const { text, messages, denied } = await inject(JSON.stringify(before), { explain: true });
      const after = JSON.parse(text);
      assertInjected(at(after, podPath));
      assert.equal(denied, false);
      assert.equal(messages.length, 1);
      assert.match(messages[0] ?? "", new RegExp(`^${kind} shop/web: Injected: .*1 filter for container envoy`));
    });
  }

  it("finds the workloads of a List, and of a List in it, and leaves the other items alone", async () => {
    const [pod, service] = [workload("Pod", "v1", POD), { apiVersion: "v1", kind: "Service", spec: { ports: [1] } }];
    const inner = { apiVersion: "v1", kind: "List", items: [service, workload("Deployment", "apps/v1", TEMPLATE)] };
    const list = { apiVersion: "v1", kind: "List", items: [pod, service, inner] };
    const { text, messages } = await inject(JSON.stringify(list), { explain: true });
    const after = JSON.parse(text);
    assertInjected(at(after, ["items", 0]));
    assertInjected(at(after, ["items", 2, "items", 1, ...TEMPLATE]));
    assert.deepEqual(at(after, ["items", 1]), service);
    assert.deepEqual(at(after, ["items", 2, "items", 0]), service);
    assert.equal(messages.length, 2);
  });

  it("leaves a kind of the same name in another API group alone", async () => {
    const text = JSON.stringify(workload("Deployment", "fleet.example/v1", TEMPLATE));
    assert.deepEqual(await inject(text, { explain: true }), { text, messages: [], denied: false });
  });

  it("gives a template without metadata its labels, where the namespace asks for the filter", async () => {
    const { spec } = template();
    const namespace = {
      apiVersion: "v1",
      kind: "Namespace",
      metadata: {
        name: "shop",
        labels: { "wasmount.dev/inject": "true" },
        annotations: { "wasmount.dev/module.headers": MODULE },
      },
    };
    for (const metadata of [{}, { metadata: null }]) {
      const manifest = workload("Deployment", "apps/v1", TEMPLATE, { ...metadata, spec });
      const items = [manifest, namespace];
      const { text } = await inject(JSON.stringify({ apiVersion: "v1", kind: "List", items }));
      assertInjected(at(JSON.parse(text), ["items", 0, ...TEMPLATE]));
      assert.deepEqual(at(JSON.parse(text), ["items", 1]), namespace);
    }
  });

  it("takes the namespace of the manifest, else the one it is told", async () => {
    const { text } = await inject(JSON.stringify({ ...workload("Pod", "v1", POD), metadata: { name: "web" } }), {
      namespace: "mall",
      output: "patch",
    });
    assert.deepEqual(JSON.parse(text), [{ kind: "Pod", namespace: "mall", name: "web", patch: [] }]);
    const named = await inject(JSON.stringify(workload("Pod", "v1", POD)), { namespace: "mall", output: "patch" });
    assert.equal(JSON.parse(named.text)[0].namespace, "shop");
  });

  it("calls a pod without a name by what its name begins with", async () => {
    const pod = { apiVersion: "v1", kind: "Pod", metadata: { generateName: "web-" }, spec: { containers: [] } };
    const { messages } = await inject(JSON.stringify(pod), { explain: true });
    assert.match(messages[0] ?? "", /^Pod default\/web-\*: Skipped: NotSwitchedOn: /);
  });

  it("changes nothing in its own output", async () => {
    const items = kinds.map(([kind, apiVersion, podPath]) => workload(kind, apiVersion, podPath));
    const first = await inject(JSON.stringify({ apiVersion: "v1", kind: "List", items }));
    const second = await inject(first.text, { explain: true });
    assert.equal(second.text, first.text);
    assert.equal(second.messages.filter(line => line.includes(": Injected: ")).length, kinds.length);
    const patches = JSON.parse((await inject(first.text, { output: "patch" })).text) as { patch: unknown[] }[];
    assert.deepEqual(
      patches.map(({ patch }) => patch),
      kinds.map(() => []),
    );
  });

  const wrong: readonly [title: string, manifest: string, message: RegExp][] = [
    ["no apiVersion", "kind: Deployment", /^standard input: a Deployment needs its apiVersion, apps\/v1$/],
    [
      "no template",
      "apiVersion: apps/v1\nkind: Deployment\nspec: {}",
      /spec\.template of a Deployment must be an object/,
    ],
    [
      "a template that is a list",
      "apiVersion: batch/v1\nkind: Job\nspec: {template: []}",
      /spec\.template of a Job must be an object/,
    ],
    ["a spec that is a text", "apiVersion: batch/v1\nkind: CronJob\nspec: x", /: spec of a CronJob must be an object/],
    ["metadata that is a text", "apiVersion: v1\nkind: Pod\nmetadata: x", /: metadata must be an object/],
    [
      "a name that is a number",
      "apiVersion: v1\nkind: Pod\nmetadata: {name: 1}",
      /metadata\.name must be a string, quoted/,
    ],
    ["no containers", "apiVersion: v1\nkind: Pod\nspec: {}", /the Pod's spec\.containers must be a list/],
    [
      "containers without names",
      "apiVersion: apps/v1\nkind: Deployment\nspec: {template: {spec: {containers: [{}]}}}",
      /the Deployment's spec\.template\.spec\.containers\[0\] must be a named container/,
    ],
    [
      "labels that are numbers",
      "kind: X\n---\napiVersion: v1\nkind: Pod\nmetadata: {labels: {a: 1}}\nspec: {containers: []}",
      /^standard input, document 2: the Pod's metadata\.labels must be a map of strings$/,
    ],
    ["items that are no list", "apiVersion: v1\nkind: List\nitems: {}", /items of a List must be a list/],
    ["an item that is no object", "apiVersion: v1\nkind: List\nitems: [x]", /items\[0\]: must be an object/],
    ["a namespace without a name", "apiVersion: v1\nkind: Namespace", /a Namespace needs a metadata\.name/],
    [
      "a namespace's label that is a boolean",
      "apiVersion: v1\nkind: Namespace\nmetadata: {name: a, labels: {wasmount.dev/inject: true}}",
      /metadata\.labels: wasmount\.dev\/inject must be a string: quote true$/,
    ],
  ];
  for (const [title, manifest, message] of wrong) {
    it(`refuses ${title}`, async () => {
      await assert.rejects(inject(manifest), { name: "InjectError", code: "BadObject", message });
    });
  }

  it("reads a YAML boolean as Kubernetes' clients do", async () => {
    const pod = "apiVersion: v1\nkind: Pod\nmetadata: {labels: {wasmount.dev/inject: yes}}\nspec: {containers: []}\n";
    await assert.rejects(inject(pod), { message: /metadata\.labels must be a map of strings/ });
    assert.deepEqual(documents("a: yes"), [{ a: true }]);
  });
});
