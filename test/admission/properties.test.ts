import assert from "node:assert/strict";
import fc from "fast-check";
import { applyPatch } from "rfc6902";
import type { Container, Pod, Volume } from "../../src/kube/pod.ts";
import { validatePod } from "../../src/validation/validate.ts";
import { type AdmissionFixture, admissionFixtures, decideFixture, istioFixtures, patchedBy } from "./fixtures.ts";
import { gatewayFixtures } from "./gateway-fixtures.ts";
import { meshFixtures } from "./mesh-fixtures.ts";
import { digest, sampleNamespace } from "./pods.ts";

const [plain] = admissionFixtures() as [AdmissionFixture];
const OURS = /^wasmount(-|$)/;

const name = fc.stringMatching(/^[a-z]([a-z0-9-]{0,8}[a-z0-9])?$/).filter(text => !OURS.test(text) && text !== "envoy");
/** Characters that JSON Pointers and YAML care about. */
const key = fc.stringMatching(/^[a-z~/.]{1,12}$/).map(text => `other.example/${text}`);
const labels = fc.option(fc.dictionary(key, fc.string(), { maxKeys: 3 }), { nil: null });

const stranger = fc.record<Container>(
  {
    name,
    image: fc.constant("registry.example/app:1"),
    args: fc.array(fc.string(), { maxLength: 2 }),
    volumeMounts: fc.constantFrom([], [{ name: "scratch", mountPath: "/tmp" }]),
    securityContext: fc.constantFrom(null, {}, { runAsUser: 1000 }),
  } as never,
  { requiredKeys: ["name", "image"] },
);
const strangers = fc.uniqueArray(stranger, { selector: container => container.name, maxLength: 3 });
const empty = fc.constantFrom<null | undefined | []>(null, undefined, []);

const proxies: readonly Container[] = [
  { name: "envoy", args: ["-c", "/etc/envoy/envoy.yaml"] },
  { name: "envoy", command: ["envoy", "--config-path", "/etc/envoy/envoy.yaml"], args: null },
  { name: "envoy" },
].map(container => ({
  ...container,
  image: "docker.io/envoyproxy/envoy:v1.40.0",
  volumeMounts: [{ name: "config", mountPath: "/etc/envoy", readOnly: true }],
}));

/** Pods with an Envoy somewhere, and anything else around it. */
const envoyPods: fc.Arbitrary<Pod> = fc
  .record({
    labels,
    annotations: fc.dictionary(key, fc.string(), { maxKeys: 3 }),
    apps: strangers,
    setup: fc.oneof(strangers, empty),
    proxy: fc.constantFrom(...proxies),
    native: fc.boolean(),
    place: fc.nat({ max: 3 }),
    scratch: fc.constant<Volume>({ name: "scratch", emptyDir: {} }),
    secrets: fc.constantFrom(undefined, null, [], [{ name: "one" }]),
  })
  .filter(
    ({ apps, setup }) =>
      new Set([...apps, ...(setup ?? [])].map(c => c.name)).size === apps.length + (setup ?? []).length,
  )
  .map(({ apps, setup, proxy, native, place, scratch, secrets, ...metadata }) => {
    const containers = [...apps];
    const initContainers = setup && [...setup];
    const list = native ? [...(initContainers ?? [])] : containers;
    list.splice(place, 0, native ? { ...proxy, restartPolicy: "Always" } : proxy);
    const annotations = { ...metadata.annotations, "wasmount.dev/module.headers": `a.example/b@${digest("a")}` };
    const pod: Pod = {
      metadata: { generateName: "shop-", labels: metadata.labels, annotations },
      spec: {
        containers: containers.length > 0 ? containers : [{ name: "only", image: "a" }],
        ...(native ? { initContainers: list } : initContainers !== undefined && { initContainers }),
        volumes: [scratch, { name: "config", configMap: { name: "envoy" } }],
        ...(secrets !== undefined && { imagePullSecrets: secrets }),
      },
    };
    // As it comes from an API server.
    return JSON.parse(JSON.stringify(pod));
  });

/** Pods that a platform made, with anything else around the proxy. */
const madePods = (made: Pod): fc.Arbitrary<Pod> =>
  fc.record({ labels, apps: strangers, setup: strangers, place: fc.nat({ max: 3 }) }).map(given => {
    const taken = new Set([...made.spec.containers, ...(made.spec.initContainers ?? [])].map(one => one?.name));
    const added = (list: readonly Container[]) => list.filter(one => !taken.has(one.name) && taken.add(one.name));
    const containers = [...made.spec.containers];
    containers.splice(given.place, 0, ...added(given.apps));
    const initContainers = [...(made.spec.initContainers ?? [])];
    initContainers.splice(given.place, 0, ...added(given.setup));
    const volumes = [...(made.spec.volumes ?? []), { name: "scratch", emptyDir: {} }];
    const metadata = { ...made.metadata, labels: { ...made.metadata.labels, ...given.labels } };
    return JSON.parse(JSON.stringify({ metadata, spec: { ...made.spec, containers, initContainers, volumes } }));
  });

/** What admission is held to: pods of one kind, whose proxy has a name. */
interface Subject {
  readonly fixture: Pick<AdmissionFixture, "namespace" | "config" | "dataPlanes">;
  readonly pods: fc.Arbitrary<Pod>;
  readonly proxy: string;
}

const subjects: Readonly<Record<string, Subject>> = {
  "a pod with an Envoy of its own": {
    fixture: { ...plain, namespace: sampleNamespace() },
    pods: envoyPods,
    proxy: "envoy",
  },
  ...Object.fromEntries(
    istioFixtures().map(fixture => [
      `a pod as Istio makes it (${fixture.name})`,
      { fixture, pods: madePods(fixture.pod), proxy: "istio-proxy" },
    ]),
  ),
  ...Object.fromEntries(
    [...gatewayFixtures(), ...meshFixtures()].map(fixture => [
      `a platform's pod (${fixture.name})`,
      { fixture, pods: madePods(fixture.pod), proxy: fixture.proxy },
    ]),
  ),
};

/** A mesh's webhook: containers, init containers and volumes of its own, each time at the front again. */
function meshed(pod: Pod): Pod {
  const front = (own: Container[], present: readonly Container[] | null | undefined) => [
    ...own,
    ...(present ?? []).filter(container => !own.some(mine => mine.name === container.name)),
  ];
  const init = { name: "mesh-init", image: "mesh.example/init:1" };
  const proxy = { name: "mesh-proxy", image: "mesh.example/proxy:1" };
  const volume = { name: "mesh-data", emptyDir: {} };
  const volumes = (pod.spec.volumes ?? []).filter(present => present.name !== volume.name);
  return {
    metadata: { ...pod.metadata, annotations: { ...pod.metadata.annotations, "mesh.example/status": "injected" } },
    spec: {
      ...pod.spec,
      containers: front([proxy], pod.spec.containers),
      initContainers: front([init], pod.spec.initContainers),
      volumes: [volume, ...volumes],
    },
  };
}

for (const [what, { fixture, pods, proxy }] of Object.entries(subjects)) {
  const decide = (pod: Pod) => decideFixture({ ...fixture, pod });

  /** Calls us as an API server does: each time on what it has. */
  const pass = async (pod: Pod): Promise<Pod> => {
    const decision = await decide(pod);
    assert.equal(decision.outcome, "Injected", decision.detail);
    return patchedBy(pod, decision);
  };

  const places: Record<string, (pod: Pod) => Promise<Pod>> = {
    "before ours": async pod => pass(meshed(pod)),
    "after ours, which is called again": async pod => pass(meshed(await pass(pod))),
    "after ours, and both are called again": async pod => pass(meshed(await pass(meshed(await pass(pod))))),
  };

  describe(`admission, whatever ${what} is,`, () => {
    const forAll = (check: (pod: Pod) => Promise<void>) => fc.assert(fc.asyncProperty(pods, check), { numRuns: 200 });

    it("makes operations that apply, none of which changes nothing", () =>
      forAll(async pod => {
        const decision = await decide(pod);
        if (decision.outcome !== "Injected") assert.fail(decision.detail);
        const copy = structuredClone(pod);
        for (const operation of decision.patch) {
          const before = JSON.stringify(copy);
          assert.deepEqual(applyPatch(copy, [structuredClone(operation)] as never), [null]);
          assert.notEqual(JSON.stringify(copy), before);
        }
      }));

    it("finds nothing left to do in a second pass", () =>
      forAll(async pod => {
        const once = await pass(pod);
        assert.deepEqual(await pass(once), once);
        const decision = await decide(once);
        assert.deepEqual(decision.outcome === "Injected" && decision.patch, []);
      }));

    it("loses nothing, and leaves the order of everything as it was", () =>
      forAll(async pod => {
        const after = await pass(pod);
        for (const map of ["labels", "annotations"] as const) {
          const kept = Object.entries(after.metadata[map] ?? {}).filter(
            ([label]) => label in (pod.metadata[map] ?? {}),
          );
          assert.deepEqual(kept, Object.entries(pod.metadata[map] ?? {}));
        }
        for (const list of ["containers", "initContainers"] as const) {
          const others = (containers: readonly Container[] | null | undefined) =>
            (containers ?? []).filter(container => !OURS.test(container.name));
          assert.deepEqual(
            others(after.spec[list]).map(container => container.name),
            others(pod.spec[list]).map(container => container.name),
          );
          const strange = (container: Container) => container.name !== proxy;
          assert.deepEqual(others(after.spec[list]).filter(strange), others(pod.spec[list]).filter(strange));
        }
        assert.deepEqual(
          after.spec.volumes?.filter(volume => !OURS.test(volume.name)),
          pod.spec.volumes,
        );
      }));

    for (const [when, calls] of Object.entries(places)) {
      it(`converges with a mesh that is called ${when}`, () =>
        forAll(async pod => {
          const result = await calls(pod);
          assert.equal(result.spec.initContainers?.[0]?.name, "wasmount-fetch");
          assert.ok(result.spec.initContainers?.some(container => container.name === "mesh-init"));
          assert.deepEqual(await pass(result), result);
          const verdict = validatePod(result, fixture.namespace, fixture.dataPlanes, { ...fixture.config, keys: null });
          assert.equal(verdict.outcome, "Verified", `${verdict.reason}: ${verdict.detail}`);
        }));
    }
  });
}
