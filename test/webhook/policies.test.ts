import assert from "node:assert/strict";
import { applyPatch } from "rfc6902";
import type { Decision } from "../../src/admission/decision.ts";
import { reviewResponse } from "../../src/admission/response.ts";
import { envoyDataPlane } from "../../src/dataplanes/envoy.ts";
import { KubeError } from "../../src/kube/error.ts";
import type { RegistryError } from "../../src/oci/error.ts";
import { DEFAULT_LIMITS } from "../../src/oci/limits.ts";
import { parseReference, type Reference } from "../../src/oci/reference.ts";
import { type FoundPolicy, NO_POLICIES, PolicySet } from "../../src/policies/policy-set.ts";
import { NO_MATERIALS } from "../../src/trust/rules.ts";
import { mutation, type Sources, validation } from "../../src/webhook/decide.ts";
import { NamespaceRegistries } from "../../src/webhook/namespace-registries.ts";
import { sampleNamespace, samplePod } from "../admission/pods.ts";
import { foundPolicy, RELEASE } from "../policies/policies.ts";
import { imageBytes, MemoryEvidence } from "../trust/memory-evidence.ts";
import { p256 } from "../trust/samples.ts";
import { type RawPod, signing, verifying } from "../validation/injected-pod.ts";

const REPOSITORY = "registry.example/headers";
type Injected = Extract<Decision, { readonly outcome: "Injected" }>;

describe("policies at admission", () => {
  let evidence: MemoryEvidence;
  let digest: string;
  let policies: PolicySet;
  let unread: [Reference, RegistryError][];
  let sources: Sources;

  beforeEach(() => {
    evidence = new MemoryEvidence();
    digest = evidence.add(imageBytes("a"));
    policies = NO_POLICIES;
    unread = [];
    sources = sourcesWith("Warn");
  });

  function sourcesWith(unmatched: "Warn" | "Deny" | "Allow"): Sources {
    const resolve = async () => ({ digest, size: 2, mediaType: "" });
    const registries = new NamespaceRegistries({
      credentials: new Map([["till", { source: () => [], serve: () => true }]]),
      open: () => ({
        limits: DEFAULT_LIMITS,
        resolve,
        manifest: (registry, repository, reference) => evidence.manifest(registry, repository, reference),
        referrers: (registry, repository, digest) => evidence.referrers(registry, repository, digest),
        blob: (registry, repository, descriptor) => evidence.blob(registry, repository, descriptor),
        close() {},
      }),
      budgetMs: 1_000,
      unmatched,
      unread: (...told) => unread.push(told),
    });
    return {
      namespaces: { get: async name => namespaceOf(name), getNow: async name => namespaceOf(name) },
      limitsOf: async () => [],
      resolve: async () => ({ digest }),
      policies: () => policies,
      judge: (...asked) => registries.judge(...asked),
    };
  }

  const namespaceOf = (name: string) => ({ ...sampleNamespace(), name });
  const are = (...found: readonly FoundPolicy[]) => {
    policies = new PolicySet(found, NO_MATERIALS);
  };
  const pod = () => samplePod({ annotations: { "wasmount.dev/module.headers": `${REPOSITORY}:1` } });

  async function mutate(namespace = "shop"): Promise<Decision> {
    return mutation(
      () => signing,
      [envoyDataPlane],
      sources,
    )({ pod: pod(), namespace, entry: "namespace", dryRun: false });
  }

  async function injected(): Promise<Injected> {
    const decision = await mutate();
    return decision.outcome === "Injected" ? decision : assert.fail(decision.detail);
  }

  async function validate({ patch }: Injected): Promise<Decision> {
    const stored: RawPod = JSON.parse(JSON.stringify(pod()));
    applyPatch(stored, JSON.parse(JSON.stringify(patch)));
    const request = { pod: stored, namespace: "shop", entry: "namespace", dryRun: false } as const;
    return validation(() => verifying, [envoyDataPlane], sources)(request);
  }

  it("let a signed image in, and give the fetcher what it is to verify", async () => {
    are(foundPolicy("release"), foundPolicy("other", { match: { repositories: ["other.example/**"] } }));
    evidence.sign(digest, REPOSITORY, RELEASE);
    const decision = await injected();
    assert.deepEqual(
      decision.plan.rules?.map(({ policy }) => policy),
      ["WasmPolicy/release"],
    );
    assert.deepEqual(decision.plan.filters[0]?.trust, { rules: ["WasmPolicy/release"], deferred: false });
    assert.deepEqual(decision.warnings, []);
    const { auditAnnotations } = reviewResponse("u", decision).response;
    assert.equal(auditAnnotations["policy"], "headers:WasmPolicy/release=Passed");
    assert.equal((await validate(decision)).outcome, "Verified");
  });

  it("deny an unsigned image, and say by which policy, whom it asked and what each said", async () => {
    are(foundPolicy("release"));
    assert.deepEqual(await mutate(), {
      outcome: "Denied",
      reason: "PolicyDenied",
      detail: "annotation wasmount.dev/module.headers: WasmPolicy/release: not signed (release: no signature found)",
    });
    evidence.sign(digest, REPOSITORY, p256());
    const again = sourcesWith("Warn");
    sources = again;
    const { detail } = await mutate();
    assert.match(detail, /not signed \(release: the signature found is not by this key\)$/);
  });

  it("go by what the operator says of images that none is for", async () => {
    assert.match(
      (await injected()).warnings[0] ?? "",
      /filter headers: no WasmPolicy is for registry.example\/headers/,
    );
    sources = sourcesWith("Allow");
    assert.deepEqual((await injected()).warnings, []);
    sources = sourcesWith("Deny");
    assert.equal((await mutate()).reason, "PolicyDenied");
    are(foundPolicy("own", {}, "shop"));
    evidence.sign(digest, REPOSITORY, RELEASE);
    assert.equal((await mutate()).reason, "PolicyDenied", "a tenant's policy vouches for nothing");
  });

  it("warn or note where that is their mode, and the plan holds them all the same", async () => {
    are(foundPolicy("warns", { mode: "Warn" }), foundPolicy("notes", { mode: "Audit" }));
    const decision = await injected();
    assert.match(decision.warnings.join(), /filter headers: WasmPolicy\/warns: not signed/);
    assert.match(decision.audit.join(), /^WasmPolicy\/notes: not signed/);
    assert.equal(decision.plan.rules?.length, 2);
    assert.equal((await validate(decision)).outcome, "Verified");
  });

  it("leave to the fetcher what only the pod may read, visibly, and deny where the operator could not", async () => {
    are(foundPolicy("release"));
    evidence.failing = "Unauthorized";
    const decision = await injected();
    assert.equal(decision.plan.filters[0]?.trust?.deferred, true);
    assert.match(decision.warnings.join(), /filter headers is left to the fetcher to verify/);
    assert.match(JSON.stringify(decision.patch), /verifiedBy\\":\\"fetcher/);
    assert.equal(unread.length, 1);
    assert.equal((await validate(decision)).outcome, "Verified");
    const denied = await mutate("till");
    assert.equal(denied.reason, "PolicyDenied");
    assert.match(denied.detail, /does not exist, or can't be read; the webhook's log says why/);
  });

  it("share no verdict between namespaces that have other credentials, though they ask at once (28, 31)", async () => {
    are(foundPolicy("release"));
    evidence.sign(digest, REPOSITORY, RELEASE);
    const gate = Promise.withResolvers<void>();
    evidence.gate = gate.promise;
    const reference = parseReference(`${REPOSITORY}:1`);
    const demands = policies.demandsOn(reference, namespaceOf("till"));
    const late = { signal: new AbortController().signal };
    const open = ["till", "shop", "till", "stranger"].map(name =>
      sources.judge({ reference, digest }, demands, name, late),
    );
    gate.resolve();
    await Promise.all(open);
    assert.equal(evidence.asked, 6, "three questions of each of two clients");
    evidence.unsign(digest);
    evidence.failing = "Unauthorized";
    assert.ok((await sources.judge({ reference, digest }, demands, "till", late)).allowed, "its own, which is held");
    const other = sourcesWith("Warn");
    assert.match((await other.judge({ reference, digest }, demands, "till", late)).denial ?? "", /log says why/);
    assert.ok((await other.judge({ reference, digest }, demands, "shop", late)).deferred.length > 0);
  });

  it("deny where the registry can't be asked, or leave it to the fetcher if they say so", async () => {
    evidence.failing = "Unreachable";
    are(foundPolicy("release"));
    assert.equal((await mutate()).reason, "PolicyDenied");
    are(foundPolicy("release", { onRegistryError: "Defer" }));
    assert.equal((await injected()).plan.filters[0]?.trust?.deferred, true);
  });

  it("count on the validating side as they are then, whatever plan the pod carries", async () => {
    const before = await injected();
    assert.equal(before.plan.rules, undefined);
    are(foundPolicy("release"));
    const denied = await validate(before);
    assert.equal(denied.reason, "PolicyDenied");
    assert.match(denied.detail, /^filter headers: WasmPolicy\/release: not signed/);
    evidence.sign(digest, REPOSITORY, RELEASE);
    sources = sourcesWith("Warn");
    assert.equal((await validate(before)).outcome, "Verified", "it passes what is demanded now");
    are({ name: "WasmPolicy/x", namespace: null, policy: { code: "Unreadable", problem: "spec.mode is wrong" } });
    assert.match((await validate(before)).detail, /WasmPolicy\/x can't be used: spec.mode is wrong/);
  });

  it("are no policies where it can't be told which there are", async () => {
    sources = {
      ...sources,
      policies() {
        throw new KubeError("Unreachable", "no word for 61 s");
      },
    };
    await assert.rejects(mutate(), { code: "Unreachable" });
  });
});
