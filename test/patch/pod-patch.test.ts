import assert from "node:assert/strict";
import fc from "fast-check";
import { applyPatch } from "rfc6902";
import type { Container, Pod } from "../../src/kube/pod.ts";
import { type PodChanges, podPatch } from "../../src/patch/pod-patch.ts";

const changes: PodChanges = {
  labels: { "wasmount.dev/injected": "true" },
  unwantedLabels: [],
  annotations: { "wasmount.dev/status": "{}" },
  volumes: [{ name: "wasmount", emptyDir: { sizeLimit: "1Mi" } }],
  imagePullSecrets: ["ours"],
  fetcher: { name: "wasmount-fetch", image: "fetcher", args: ["fetch"] },
  proxy: {
    list: "containers",
    index: 0,
    changes: { args: ["-c", "/new"], mounts: [{ name: "wasmount", mountPath: "/wasmount", readOnly: true }] },
  },
};

function apply(pod: Pod, wanted = changes): Pod {
  const copy: Pod = JSON.parse(JSON.stringify(pod));
  const failures = applyPatch(copy, structuredClone(podPatch(pod, wanted)) as never).filter(result => result !== null);
  assert.deepEqual(failures, [], "every operation applies");
  return copy;
}

const bare: Pod = { metadata: {}, spec: { containers: [{ name: "envoy" }] } };

describe("pod patch", () => {
  it("adds what is absent, whole", () => {
    const pod = apply(bare);
    assert.deepEqual(pod, {
      metadata: { labels: changes.labels, annotations: changes.annotations },
      spec: {
        containers: [{ name: "envoy", args: ["-c", "/new"], volumeMounts: changes.proxy.changes.mounts }],
        volumes: changes.volumes,
        imagePullSecrets: [{ name: "ours" }],
        initContainers: [changes.fetcher],
      },
    });
  });

  it("adds pull secrets behind those of the pod, each once", () => {
    const wanted = { ...changes, imagePullSecrets: ["ours", "theirs"] };
    const pod = apply({ ...bare, spec: { ...bare.spec, imagePullSecrets: [{ name: "theirs" }, {}] } }, wanted);
    assert.deepEqual(pod.spec.imagePullSecrets, [{ name: "theirs" }, {}, { name: "ours" }]);
  });

  for (const empty of [null, []] as const) {
    it(`fills lists that are ${JSON.stringify(empty)}`, () => {
      const lists = { initContainers: empty, volumes: empty };
      const pod = apply({
        metadata: { labels: null, annotations: null },
        spec: {
          containers: [{ name: "envoy", args: empty && [...empty], volumeMounts: empty }],
          ...structuredClone(lists),
        },
      });
      assert.deepEqual(pod.spec.initContainers, [changes.fetcher]);
      assert.deepEqual(pod.spec.volumes, changes.volumes);
      assert.deepEqual(pod.spec.containers[0]?.volumeMounts, changes.proxy.changes.mounts);
    });
  }

  it("has no operation for a pod that has it all", () => {
    assert.deepEqual(podPatch(apply(bare), changes), []);
  });

  it("replaces what carries our names with other content", () => {
    const forged: Pod = {
      metadata: { labels: { "wasmount.dev/injected": "no" }, annotations: { "wasmount.dev/status": "forged" } },
      spec: {
        containers: [{ name: "envoy", volumeMounts: [{ name: "other", mountPath: "/wasmount" }] }],
        initContainers: [{ name: "wasmount-fetch", image: "evil" }],
        volumes: [{ name: "wasmount", hostPath: { path: "/" } }],
      },
    };
    assert.deepEqual(apply(forged), apply(bare));
  });

  it("moves the fetcher back to the front", () => {
    const other: Container = { name: "istio-init" };
    for (const initContainers of [
      [other, changes.fetcher],
      [other, changes.fetcher, { name: "third" }],
    ]) {
      const pod = apply({ ...bare, spec: { ...bare.spec, initContainers } });
      assert.deepEqual(pod.spec.initContainers, [
        changes.fetcher,
        ...initContainers.filter(({ name }) => name !== "wasmount-fetch"),
      ]);
    }
  });

  it("leaves one fetcher where there were several", () => {
    const initContainers = [changes.fetcher, { name: "a" }, { ...changes.fetcher, image: "evil" }, { name: "b" }];
    const pod = apply({ ...bare, spec: { ...bare.spec, initContainers } });
    assert.deepEqual(pod.spec.initContainers, [changes.fetcher, { name: "a" }, { name: "b" }]);
  });

  it("changes a native sidecar at its place before the fetcher moves it", () => {
    const wanted: PodChanges = { ...changes, proxy: { ...changes.proxy, list: "initContainers", index: 1 } };
    const pod = apply(
      { ...bare, spec: { ...bare.spec, initContainers: [{ name: "a" }, { name: "sidecar" }] } },
      wanted,
    );
    assert.deepEqual(
      pod.spec.initContainers?.map(({ name, args }) => [name, args]),
      [
        ["wasmount-fetch", ["fetch"]],
        ["a", undefined],
        ["sidecar", ["-c", "/new"]],
      ],
    );
  });

  it("escapes keys as JSON Pointer asks", () => {
    const wanted = { ...changes, labels: { "a~b/c": "x" } };
    assert.deepEqual(apply({ ...bare, metadata: { labels: { kept: "1" } } }, wanted).metadata.labels, {
      kept: "1",
      "a~b/c": "x",
    });
  });

  it("keeps every other member, in its order, and is done after one pass, for any pod", () => {
    const name = fc.stringMatching(/^[a-z]([a-z0-9-]{0,8}[a-z0-9])?$/);
    const list = <T>(element: fc.Arbitrary<T>) => fc.option(fc.array(element, { maxLength: 4 }), { freq: 3 });
    const container = fc.record(
      {
        name,
        image: fc.string(),
        args: list(fc.string()),
        volumeMounts: list(fc.record({ name, mountPath: fc.string() })),
        extra: fc.json(),
      },
      { requiredKeys: ["name"] },
    );
    const pods = fc
      .record({
        metadata: fc.record(
          {
            labels: fc.option(fc.dictionary(fc.string(), fc.string())),
            annotations: fc.option(fc.dictionary(fc.string(), fc.string())),
            extra: fc.json(),
          },
          { requiredKeys: [] },
        ),
        spec: fc.record(
          {
            containers: fc.array(container, { minLength: 1, maxLength: 3 }),
            initContainers: list(container),
            volumes: list(fc.record({ name, extra: fc.json() })),
            extra: fc.json(),
          },
          { requiredKeys: ["containers"] },
        ),
      })
      .map(pod => JSON.parse(JSON.stringify(pod)) as Pod);
    fc.assert(
      fc.property(pods, pod => {
        const patched = apply(pod);
        assert.deepEqual(podPatch(patched, changes), [], "a second pass has nothing to do");
        const others = (patched.spec.initContainers ?? []).filter(({ name }) => name !== "wasmount-fetch");
        assert.deepEqual(
          others,
          (pod.spec.initContainers ?? []).filter(({ name }) => name !== "wasmount-fetch"),
        );
        assert.deepEqual(patched.spec.containers.slice(1), pod.spec.containers.slice(1));
        const untouched = (volumes: Pod["spec"]["volumes"]) =>
          (volumes ?? []).filter(({ name }) => name !== "wasmount");
        assert.deepEqual(untouched(patched.spec.volumes), untouched(pod.spec.volumes));
      }),
    );
  });
});
