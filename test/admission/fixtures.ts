import { readdirSync, readFileSync } from "node:fs";
import { applyPatch } from "rfc6902";
import { parse } from "yaml";
import { type AdmissionConfig, admit } from "../../src/admission/admission.ts";
import type { Decision } from "../../src/admission/decision.ts";
import { parseConfig } from "../../src/config/load.ts";
import type { DataPlane } from "../../src/dataplanes/data-plane.ts";
import { dataPlanesOf } from "../../src/dataplanes/data-planes.ts";
import type { Namespace } from "../../src/kube/namespace.ts";
import type { Pod } from "../../src/kube/pod.ts";
import { planFromEnvironment, planToEnvironment } from "../../src/plan/transport.ts";

const folder = new URL("../fixtures/admission/", import.meta.url);

/** What every operator has to say. */
export const NEEDED = {
  tls: { certFile: "tls.crt", keyFile: "tls.key" },
  fetcher: { image: "registry.example/wasmount:1" },
};

/** A pod and its namespace, with what its operator says beside the defaults. */
export interface AdmissionFixture {
  readonly name: string;
  readonly pod: Pod;
  readonly namespace: Namespace;
  readonly operator: Readonly<Record<string, unknown>>;
  readonly config: AdmissionConfig;
  readonly dataPlanes: readonly DataPlane[];
}

const PLAIN = dataPlanesOf({ istio: null, named: [] });

/** All fixtures, in test/fixtures/admission. */
export function admissionFixtures(): AdmissionFixture[] {
  const files = readdirSync(folder).filter(file => file.endsWith(".yaml"));
  return files.sort().map(file => {
    const text = readFileSync(new URL(file, folder), "utf8");
    const { pod, namespace, config = {} } = parse(text, { merge: true });
    return {
      name: file.replace(/\.yaml$/, ""),
      // Anchors stand for one object in several places, where a pod from an API server has several.
      pod: JSON.parse(JSON.stringify(pod)),
      namespace: { labels: {}, annotations: {}, ...namespace },
      operator: config,
      config: configOf(config),
      dataPlanes: PLAIN,
    };
  });
}

/** Pods that Istio's own injector made (test/environment/istio/golden-pods.ts), in an operator's mesh. */
export function istioFixtures(): AdmissionFixture[] {
  const text = readFileSync(new URL("../istio/pods.json", folder), "utf8");
  const operator = { istio: { enabled: true } };
  const { istio } = parseConfig(JSON.stringify({ ...NEEDED, ...operator }), "an operator's mesh");
  return Object.entries(JSON.parse(text) as Readonly<Record<string, Pod>>).map(([kind, pod]) => ({
    name: `istio ${kind}`.replaceAll(" ", "-"),
    pod,
    namespace: {
      name: "shop",
      labels: { "wasmount.dev/inject": "true", "istio-injection": "enabled" },
      annotations: {},
    },
    operator,
    config: configOf(operator),
    dataPlanes: dataPlanesOf({ istio: { ...istio, slotState: () => "Installed" }, named: [] }),
  }));
}

/** What admission goes by where the operator says this beside the defaults. */
export function configOf(operator: object): AdmissionConfig {
  const config = parseConfig(JSON.stringify({ ...NEEDED, ...operator }), "the fixture's config");
  return { ...config, pack: planToEnvironment, sign: null, keys: new Map() };
}

/** Of a fixture, what a decision needs; without data planes, plain Envoy. */
export type DecidedFixture = Pick<AdmissionFixture, "pod" | "namespace" | "config"> & {
  readonly dataPlanes?: readonly DataPlane[];
};

/** Decides about a pod whose references are all by digest. */
export function decideFixture(
  { pod, namespace, config, dataPlanes = PLAIN }: DecidedFixture,
  instead: Pod = pod,
): Promise<Decision> {
  return admit(instead, namespace, dataPlanes, config, () => Promise.reject(new Error("a registry was asked")));
}

/** A pod as the API server has it once it has applied a decision's patch. @throws where an operation does not apply */
export function patchedBy(pod: Pod, decision: Decision): Pod {
  const copy = structuredClone(pod);
  if (decision.outcome !== "Injected") return copy;
  for (const problem of applyPatch(copy, structuredClone(decision.patch) as never)) if (problem !== null) throw problem;
  return copy;
}

/** The same with the plan in words: how its bytes are compressed is not what a golden file is about. */
export function readable(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(readable);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, member]) => [key, key === "env" ? readableEnv(member) : readable(member)]),
  );
}

function readableEnv(env: readonly { readonly name: string; readonly value: string }[]): unknown {
  const environment = Object.fromEntries(env.map(({ name, value }) => [name, value]));
  if (environment["WASMOUNT_PLAN_0"] === undefined) return env;
  const { plan } = planFromEnvironment(environment);
  return env.map(({ name, value }) => ({ name, value: name === "WASMOUNT_PLAN_0" ? plan : value }));
}
