import assert from "node:assert/strict";
import { ApiException, CoreV1Api, type V1Pod } from "@kubernetes/client-node";
import type { Decision } from "../../src/admission/decision.ts";
import { readEligibility } from "../../src/admission/eligibility.ts";
import { envoyDataPlane } from "../../src/dataplanes/envoy.ts";
import { isRefusal } from "../../src/decision/refusal.ts";
import type { Namespace } from "../../src/kube/namespace.ts";
import type { Pod } from "../../src/kube/pod.ts";
import { validatePod } from "../../src/validation/validate.ts";
import { samplePod } from "../admission/pods.ts";
import { clusterUnavailable, openCluster } from "../environment/cluster/cluster.ts";
import { type GuardedCluster, MODULE, namespaceOf, openGuarded } from "../environment/guarded-cluster.ts";
import { shippedGuards } from "../environment/guards.ts";
import { unavailable } from "../environment/requirement.ts";
import { type Expression, isAsked, validatingEntries } from "../environment/webhook-selectors.ts";
import { injected, type RawPod, verifying } from "../validation/injected-pod.ts";

const RUN = "vm-matrix";
const LABELS = ["absent", "true", "false", "junk"] as const;
const OTHER_IMAGE = "registry.example/other:1";
/** Requests that the API server has to work on at a time. */
const WIDTH = 4;

type Label = (typeof LABELS)[number];

/** What is done to a pod, after wasmount made it where it did. */
type Change = (pod: RawPod) => void;

const kinds: Readonly<Record<string, Change>> = {
  plain: () => {},
  hostNetwork: pod => {
    pod.spec.hostNetwork = true;
  },
  mirror: pod => {
    Object.assign(pod.metadata.annotations, { "kubernetes.io/config.mirror": "x" });
    Object.assign(pod.spec, { nodeName: "none", automountServiceAccountToken: false });
  },
  "windows by selector": pod => {
    pod.spec.nodeSelector = { "kubernetes.io/os": "windows" };
  },
  "without its namespace's filter": pod => {
    pod.metadata.annotations["wasmount.dev/module.headers"] = "none";
  },
  "that names its proxy": pod => {
    pod.metadata.annotations["wasmount.dev/proxy-container"] = "envoy";
  },
  "linux by name, windows by selector": pod => {
    Object.assign(pod.spec, { os: { name: "linux" }, nodeSelector: { "kubernetes.io/os": "windows" } });
  },
};

/** These only without a fetcher: the API server takes none for Windows, and its plan would be another one. */
const bareKinds: Readonly<Record<string, Change>> = {
  ...kinds,
  "windows by name": pod => {
    pod.spec.os = { name: "windows" };
  },
  "with a filter of its own": pod => {
    pod.metadata.annotations["wasmount.dev/module.extra"] = MODULE;
  },
  "with a status of its own": pod => {
    pod.metadata.annotations["wasmount.dev/status"] = "forged";
  },
};

interface Case {
  readonly title: string;
  readonly namespace: Namespace;
  readonly pod: RawPod;
  readonly kind: string;
  readonly state: "bare" | "injected" | "another image";
}

const labelled = (key: string, value: Label): Record<string, string> => (value === "absent" ? {} : { [key]: value });

function namespaces(): Namespace[] {
  return LABELS.flatMap(locked =>
    LABELS.map(inject => ({
      name: `${RUN}-${locked}-${inject}`,
      labels: { ...labelled("wasmount.dev/locked", locked), ...labelled("wasmount.dev/inject", inject) },
      annotations: { "wasmount.dev/module.headers": MODULE },
    })),
  );
}

/** A pod that takes its filters from its namespace. Mirror pods may have no volume but of their node. */
function bare(namespace: string): Pod {
  const { spec } = samplePod();
  const volumes = [{ name: "config", hostPath: { path: "/etc/envoy" } }];
  return { metadata: { name: "shop", namespace, annotations: {} }, spec: { ...spec, volumes } };
}

async function cases(): Promise<Case[]> {
  const found: Case[] = [];
  for (const namespace of namespaces()) {
    const { name, annotations } = namespace;
    const pod = bare(name);
    const made = await injected(pod, { name, annotations, labels: { "wasmount.dev/inject": "true" } });
    const forged = structuredClone(made);
    forged.spec.initContainers[0].image = OTHER_IMAGE;
    const states = [
      { state: "bare", start: pod, changes: bareKinds },
      { state: "injected", start: made, changes: kinds },
      { state: "another image", start: forged, changes: kinds },
    ] as const;
    for (const { state, start, changes } of states) {
      for (const [kind, change] of Object.entries(changes)) {
        for (const own of LABELS) {
          const candidate: RawPod = structuredClone(start);
          candidate.metadata.labels = { ...candidate.metadata.labels, ...labelled("wasmount.dev/inject", own) };
          change(candidate);
          found.push({ title: `${name}, pod ${own}, ${state}, ${kind}`, namespace, pod: candidate, kind, state });
        }
      }
    }
  }
  return found;
}

describe("the policy on new pods and the validating webhook", function () {
  this.timeout(15 * 60_000);
  let cluster: GuardedCluster | undefined;
  let api: CoreV1Api;
  let entries: Awaited<ReturnType<typeof validatingEntries>>;
  let matrix: Case[];

  before(async function () {
    const reason = await clusterUnavailable({ node: false });
    if (reason !== null) unavailable(this, reason);
    cluster = await openGuarded(
      RUN,
      namespaces().map(({ name, labels, annotations }) => namespaceOf(RUN, name, labels, annotations)),
      ["registry.example/wasmount:before", verifying.fetcher.image],
    );
    api = (await openCluster({ node: false })).kubeConfig.makeApiClient(CoreV1Api);
    entries = await validatingEntries();
    matrix = await cases();
  });

  after(() => cluster?.close());

  /** What the API server makes of a pod, or the name of the policy that refuses it. */
  async function tried({ metadata, spec }: RawPod): Promise<V1Pod | string> {
    const { namespace } = metadata;
    const body = { apiVersion: "v1", kind: "Pod", metadata, spec };
    try {
      return await api.createNamespacedPod({ namespace, body, dryRun: "All" });
    } catch (error) {
      const policy =
        error instanceof ApiException ? /ValidatingAdmissionPolicy '([^']+)'/.exec(String(error.body)) : null;
      if (policy?.[1]?.startsWith(RUN)) return policy[1];
      throw error;
    }
  }

  /** What the API server is told by the webhook: nothing where its selectors leave the pod out. */
  function decision({ namespace, pod, kind }: Pick<Case, "namespace" | "pod" | "kind">): Decision | null {
    if (kind === "mirror" || !isAsked(entries, namespace.labels, pod.metadata.labels ?? {})) return null;
    return validatePod(pod as Pod, namespace, [envoyDataPlane], verifying);
  }

  it("agree about every combination of labels, pod and fetcher", async () => {
    const wrong: string[] = [];
    let denials = 0;
    const queue = [...matrix];
    const work = async () => {
      for (let item = queue.pop(); item; item = queue.pop()) {
        const found = await tried(item.pod);
        if (typeof found === "string") denials += 1;
        const problem = typeof found === "string" ? onDenial(item) : onSuccess(item, found);
        if (problem !== null) wrong.push(`${item.title}: ${problem}`);
      }
    };
    await Promise.all(Array.from({ length: WIDTH }, work));
    assert.deepEqual(wrong, []);
    assert.ok(denials > 100 && matrix.length - denials > 100, `${denials} of ${matrix.length} denied`);
  });

  function onDenial(item: Case): string | null {
    const said = decision(item);
    return said?.outcome === "Denied" ? null : `denied, the webhook ${said === null ? "is not asked" : said.reason}`;
  }

  function onSuccess(item: Case, stored: V1Pod): string | null {
    const said = decision(item);
    if (said?.outcome === "Denied") return `allowed, the webhook says ${said.reason}: ${said.detail}`;
    // The webhook sees the pod with all that the API server adds.
    const seen = decision({ ...item, pod: JSON.parse(JSON.stringify(stored)) });
    return seen?.reason === said?.reason
      ? null
      : `said ${said?.reason}, of the stored pod ${seen?.reason}: ${seen?.detail}`;
  }

  it("ask about every pod that mutation would have given filters, and verify no other", () => {
    for (const item of matrix) {
      const eligibility = readEligibility(item.pod as Pod, item.namespace);
      const eligible = !isRefusal(eligibility) && eligibility.kind === "eligible";
      const said = decision(item);
      assert.ok(!eligible || said !== null, `${item.title} is not asked about`);
      assert.ok(eligible || said?.outcome !== "Verified", `${item.title} is verified`);
    }
  });

  it("leave the same namespaces alone", async () => {
    const policies = await shippedGuards();
    const policy = policies.find(({ metadata }) => metadata.name === "wasmount-unfiltered-pods");
    const { key, values }: Expression = policy.spec.matchConstraints.namespaceSelector.matchExpressions[0];
    for (const name of [...(values ?? []), "default"]) {
      const labels = { [key]: name, "wasmount.dev/locked": "true" };
      assert.equal(isAsked(entries, labels, {}), name === "default", name);
    }
    assert.deepEqual(
      entries.map(({ namespace }) => namespace.find(expression => expression.key === key)?.values),
      entries.map(() => values),
    );
  });
});
