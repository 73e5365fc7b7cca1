import assert from "node:assert/strict";
import { gunzipSync } from "node:zlib";
import * as fc from "fast-check";
import { readPod } from "../../src/admission/pod-object.ts";
import { ReviewError } from "../../src/admission/review-error.ts";
import type { Pod } from "../../src/kube/pod.ts";
import { digest, samplePod } from "../admission/pods.ts";
import { assertVerified, validate } from "./attacks.ts";
import { injected, type RawPod } from "./injected-pod.ts";

const text = fc.string({ unit: "grapheme", maxLength: 40 });
const label = fc.stringMatching(/^[a-z]([a-z0-9-]{0,10}[a-z0-9])?$/);

/** Pods with whatever filters, attached in either way, with and without pull secrets, owners and native sidecars. */
const pods: fc.Arbitrary<Pod> = fc
  .record({
    filters: fc.uniqueArray(
      fc.record({
        name: label,
        module: fc.constantFrom(`registry.example/a@${digest("a")}`, "registry.example/b:1.0", "c"),
        config: fc.option(
          text.map(value => JSON.stringify({ value })),
          { nil: undefined },
        ),
        phase: fc.constantFrom(undefined, "first", "last"),
        order: fc.option(fc.integer({ min: -9, max: 9 }).map(String), { nil: undefined }),
        "root-id": fc.constantFrom(undefined, "root"),
        "runtime-failure": fc.constantFrom(undefined, "open", "reload"),
        capabilities: fc.constantFrom(undefined, "", "proxy_log,proxy_get_property"),
      }),
      { selector: ({ name }) => name, minLength: 1, maxLength: 5 },
    ),
    implicit: fc.boolean(),
    native: fc.boolean(),
    secrets: fc.uniqueArray(label, { maxLength: 2 }),
    owner: fc.constantFrom(undefined, "uid-1"),
    user: fc.constantFrom(undefined, 0, 1000),
    setup: fc.boolean(),
  })
  .map(({ filters, implicit, native, secrets, owner, user, setup }) => {
    const annotations: Record<string, string> = { "wasmount.dev/module.headers": "none" };
    for (const { name, ...options } of filters) {
      for (const [key, value] of Object.entries(options)) {
        if (value !== undefined) annotations[`wasmount.dev/${key}.${name}`] = value;
      }
    }
    const { metadata, spec } = samplePod({ annotations, proxy: implicit ? { args: null } : {} });
    const [app, proxy] = spec.containers;
    const sidecars = native ? [{ ...proxy!, restartPolicy: "Always" }] : [];
    const initContainers = [...(setup ? [{ name: "setup", image: "registry.example/setup:1" }] : []), ...sidecars];
    return {
      metadata: { ...metadata, ...(owner !== undefined && { ownerReferences: [{ uid: owner, controller: true }] }) },
      spec: {
        ...spec,
        containers: native ? [app!] : spec.containers,
        ...(initContainers.length > 0 && { initContainers }),
        ...(secrets.length > 0 && { imagePullSecrets: secrets.map(name => ({ name })) }),
        ...(user !== undefined && { securityContext: { runAsUser: user } }),
      },
    };
  });

/** A place in JSON that can be changed. */
interface Place {
  readonly holder: RawPod;
  readonly key: string | number;
}

/** Every member and element below, those of strings and numbers included. */
function placesBelow(holder: RawPod): Place[] {
  if (typeof holder !== "object" || holder === null) return [];
  return Object.keys(holder).flatMap(name => {
    const key = Array.isArray(holder) ? Number(name) : name;
    return [{ holder, key }, ...placesBelow(holder[key])];
  });
}

/** Everything in an injected pod that wasmount put there. */
function ours(pod: RawPod): Place[] {
  const isOurs = ({ name }: RawPod) => name.startsWith("wasmount");
  const { metadata, spec } = pod;
  const marks = ["wasmount.dev/injected", "wasmount.dev/plan"].map(key => ({ holder: metadata.labels, key }));
  const volumes = spec.volumes.filter(isOurs);
  const proxy = [...spec.containers, ...spec.initContainers].find(({ name }: RawPod) => name === "envoy");
  return [
    ...marks,
    { holder: metadata.annotations, key: "wasmount.dev/status" },
    { holder: spec.initContainers, key: 0 },
    ...placesBelow(spec.initContainers[0]),
    ...volumes.map((volume: RawPod) => ({ holder: spec.volumes, key: spec.volumes.indexOf(volume) })),
    ...volumes.flatMap(placesBelow),
    ...proxy.volumeMounts
      .filter(isOurs)
      .flatMap((mount: RawPod) => [
        { holder: proxy.volumeMounts, key: proxy.volumeMounts.indexOf(mount) },
        ...placesBelow(mount),
      ]),
  ];
}

const changes: readonly ((place: Place) => void)[] = [
  ({ holder, key }) => {
    if (Array.isArray(holder)) holder.splice(Number(key), 1);
    else delete holder[key];
  },
  ({ holder, key }) => {
    holder[key] = another(holder[key]);
  },
  ({ holder, key }) => {
    const value = holder[key];
    if (Array.isArray(value)) value.push("added");
    else if (typeof value === "object") value.added = "added";
    else holder[key] = another(value);
  },
];

function another(value: unknown): unknown {
  if (typeof value === "boolean") return !value;
  if (typeof value === "number") return value + 1;
  return typeof value === "string" ? `${value}x` : "other";
}

/** Changes that validation is not to mind, since others may make them or nothing comes of them. */
function isBenign(before: RawPod, after: RawPod): boolean {
  return JSON.stringify(normalized(before)) === JSON.stringify(normalized(after));
}

/** Without additions to the fetcher's resources, and with its plan as it is read: the bytes around it don't matter. */
function normalized(pod: RawPod): RawPod {
  const copy = structuredClone(pod);
  const { resources, env } = copy.spec.initContainers?.[0] ?? {};
  for (const list of [resources?.requests, resources?.limits]) {
    if (typeof list === "object") delete list.added;
  }
  if (!Array.isArray(env)) return copy;
  for (const variable of env) {
    if (variable.name === "WASMOUNT_PLAN_0") variable.value = unpacked(variable.value);
  }
  return copy;
}

function unpacked(value: unknown): unknown {
  const packed = Buffer.from(String(value), "base64");
  if (packed[0] === 0x7b) return packed.toString();
  try {
    return gunzipSync(packed).toString();
  } catch {
    return value;
  }
}

/** Refused by a decision, or already by the reader of reviews where a type is wrong. */
function assertRefused(pod: RawPod, { key }: Place): void {
  try {
    const { outcome, detail } = validate(readPod(pod));
    assert.equal(outcome, "Denied", `${key}: ${detail}`);
  } catch (error) {
    if (!(error instanceof ReviewError)) throw error;
  }
}

describe("validation of whatever pod", function () {
  this.timeout(120_000);

  it("verifies it as admission made it", () =>
    fc.assert(
      fc.asyncProperty(pods, async pod => assertVerified(validate(await injected(pod)))),
      { numRuns: 200 },
    ));

  it("denies it with any one change to what is wasmount's", () =>
    fc.assert(
      fc.asyncProperty(pods, fc.nat(), fc.nat(), async (pod, which, how) => {
        const before = await injected(pod);
        const after = structuredClone(before);
        const places = ours(after);
        const place = places[which % places.length]!;
        changes[how % changes.length]!(place);
        fc.pre(!isBenign(before, after));
        assertRefused(after, place);
      }),
      { numRuns: 600 },
    ));

  it("verifies it with others' containers, volumes, labels and annotations", () =>
    fc.assert(
      fc.asyncProperty(
        pods,
        fc.record({
          container: fc.boolean(),
          init: fc.boolean(),
          volume: fc.boolean(),
          label: fc.boolean(),
          annotation: fc.boolean(),
          placed: fc.boolean(),
          limited: fc.boolean(),
        }),
        async (pod, added) => {
          const { metadata, spec } = await injected(pod).then((made: RawPod) => {
            addTo(made, added);
            return made;
          });
          assertVerified(validate({ metadata, spec }));
        },
      ),
      { numRuns: 200 },
    ));
});

function addTo(pod: RawPod, added: Readonly<Record<string, boolean>>): void {
  const { metadata, spec } = pod;
  const token = { name: "token", mountPath: "/var/run/secrets/kubernetes.io/serviceaccount", readOnly: true };
  if (added["container"])
    spec.containers.push({ name: "logs", image: "registry.example/logs:1", volumeMounts: [token] });
  if (added["init"]) spec.initContainers.push({ name: "mesh-init", image: "registry.example/mesh:1" });
  if (added["volume"]) spec.volumes.unshift({ name: "token", projected: { sources: [] } });
  if (added["label"]) metadata.labels.team = "a";
  if (added["annotation"]) metadata.annotations["example.com/note"] = "x";
  if (added["placed"]) Object.assign(spec, { nodeName: "n", priority: 1, tolerations: [{ operator: "Exists" }] });
  if (added["limited"]) spec.initContainers[0].resources.limits["ephemeral-storage"] = "1Gi";
}
