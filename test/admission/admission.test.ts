import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { applyPatch } from "rfc6902";
import { type AdmissionConfig, admit, type ResolveTag } from "../../src/admission/admission.ts";
import type { Decision } from "../../src/admission/decision.ts";
import type { Config } from "../../src/config/config.ts";
import { parseConfig } from "../../src/config/load.ts";
import { envoyDataPlane } from "../../src/dataplanes/envoy.ts";
import type { Namespace } from "../../src/kube/namespace.ts";
import type { Container, Pod } from "../../src/kube/pod.ts";
import { podPlan } from "../../src/plan/pod-plan.ts";
import { type PlanSigner, readPlanKeys, readSigner, signPlan, verifyPlan } from "../../src/plan/signature.ts";
import { planFromEnvironment, planToEnvironment } from "../../src/plan/transport.ts";
import { digest, sampleNamespace, samplePod } from "./pods.ts";

const operator: Config = parseConfig(
  `
tls: {certFile: /tls/tls.crt, keyFile: /tls/tls.key}
fetcher: {image: registry.example/wasmount:0.1.0}
registries: [{host: "127.0.0.1:5000", plainHttp: true}]
`,
  "wasmount.yaml",
);

const config: AdmissionConfig = { ...operator, pack: planToEnvironment, sign: null, keys: new Map() };

const unasked: ResolveTag = () => assert.fail("a registry was asked");

function decide(pod: Pod, namespace: Namespace = sampleNamespace(), resolve = unasked, settings = config) {
  return admit(pod, namespace, [envoyDataPlane], settings, resolve);
}

function injected(decision: Decision): Extract<Decision, { outcome: "Injected" }> {
  return decision.outcome === "Injected"
    ? decision
    : assert.fail(`${decision.outcome} ${decision.reason}: ${decision.detail}`);
}

function patched(pod: Pod, decision: Decision): Pod {
  const copy = structuredClone(pod);
  const results = applyPatch(copy, structuredClone(injected(decision).patch) as never);
  assert.deepEqual(
    results.filter(result => result !== null),
    [],
  );
  return copy;
}

async function denied(reason: string, detail: RegExp, decision: Promise<Decision>): Promise<void> {
  const result = await decision;
  assert.equal(result.outcome, "Denied");
  assert.equal(result.reason, reason, result.detail);
  assert.match(result.detail, detail);
}

function newKeys(): { readonly signer: PlanSigner } & Pick<AdmissionConfig, "sign" | "keys"> {
  const { privateKey, publicKey } = generateKeyPairSync("ed25519");
  const signer = readSigner(privateKey.export({ type: "pkcs8", format: "pem" }).toString());
  return {
    signer,
    sign: plan => signPlan(plan, signer),
    keys: readPlanKeys([publicKey.export({ type: "spki", format: "pem" }).toString()]),
  };
}

describe("admission", () => {
  it("gives the pod a fetcher, a volume and a proxy that reads from it", async () => {
    const pod = samplePod();
    const result = patched(pod, await decide(pod));
    const [fetcher] = result.spec.initContainers ?? [];
    assert.equal(fetcher?.name, "wasmount-fetch");
    assert.equal(fetcher?.image, "registry.example/wasmount:0.1.0");
    assert.deepEqual(fetcher?.securityContext, {
      runAsUser: 101,
      runAsGroup: 101,
      runAsNonRoot: true,
      privileged: false,
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ["ALL"] },
      seccompProfile: { type: "RuntimeDefault" },
    });
    assert.deepEqual(fetcher?.volumeMounts, [
      { name: "wasmount", mountPath: "/wasmount" },
      { name: "wasmount-no-token", mountPath: "/var/run/secrets/kubernetes.io/serviceaccount", readOnly: true },
      { name: "config", mountPath: "/wasmount-source", readOnly: true },
    ]);
    assert.deepEqual(result.spec.containers[1]?.volumeMounts?.at(-1), {
      name: "wasmount",
      mountPath: "/wasmount",
      readOnly: true,
    });
    assert.deepEqual(result.spec.containers[0], pod.spec.containers[0], "the application is left alone");
    assert.equal(result.metadata.labels?.["wasmount.dev/injected"], "true");
  });

  it("puts into the environment the plan that it decided on", async () => {
    const pod = samplePod({
      annotations: { "wasmount.dev/config.headers": "a: b", "wasmount.dev/root-id.headers": "r" },
    });
    const decision = injected(await decide(pod));
    const env = patched(pod, decision).spec.initContainers?.[0]?.env ?? [];
    const { plan, hash } = planFromEnvironment(Object.fromEntries(env.map(({ name, value }) => [name, value])));
    assert.deepEqual(plan, decision.plan);
    assert.equal(hash, decision.planHash);
    assert.deepEqual(plan.filters, [
      {
        name: "headers",
        slot: "in-last-01",
        phase: "last",
        repository: "registry.example/headers",
        digest: digest("a"),
        reference: `registry.example/headers@${digest("a")}`,
        config: '{"a":"b"}',
        rootId: "r",
        onFailure: "block",
        runtimeFailure: "closed",
        capabilities: null,
      },
    ]);
    assert.deepEqual(plan.registries, [{ host: "127.0.0.1:5000", plainHttp: true }]);
    assert.equal(plan.limits.deadlineMs, 120_000);
    assert.equal(patched(pod, decision).metadata.labels?.["wasmount.dev/plan"], hash.slice(0, 12));
  });

  describe("signed plans", () => {
    const { sign, keys } = newKeys();
    const signing = { ...config, sign, keys };
    const owned = (uid: string): Pod => {
      const { metadata, spec } = samplePod();
      return { metadata: { ...metadata, ownerReferences: [{ uid: "other" }, { uid, controller: true }] }, spec };
    };
    const signed = async (pod: Pod) => {
      const result = patched(pod, await decide(pod, sampleNamespace(), unasked, signing));
      return podPlan(JSON.stringify({ kind: "Pod", ...result }), "pod");
    };

    it("are signed for the pod's namespace and controlling owner", async () => {
      const { hash, signature, owner } = await signed(owned("uid-1"));
      assert.equal(owner, "uid-1");
      verifyPlan({ hash, namespace: "shop", owner: "uid-1" }, signature, keys);
      assert.throws(() => verifyPlan({ hash, namespace: "shop", owner: "uid-2" }, signature, keys), {
        code: "BadSignature",
      });
    });

    it("are signed for no owner where the pod has none", async () => {
      const { hash, signature } = await signed(samplePod());
      verifyPlan({ hash, namespace: "shop", owner: "" }, signature, keys);
    });

    it("leave nothing to do in a second pass", async () => {
      const pod = owned("uid-1");
      const once = patched(pod, await decide(pod, sampleNamespace(), unasked, signing));
      assert.deepEqual(injected(await decide(once, sampleNamespace(), unasked, signing)).patch, []);
    });

    it("take the place of a signature that was carried over from another pod", async () => {
      const foreign = patched(owned("uid-1"), await decide(owned("uid-1"), sampleNamespace(), unasked, signing));
      const copied: Pod = {
        ...foreign,
        metadata: { ...foreign.metadata, ownerReferences: [{ uid: "uid-2", controller: true }] },
      };
      const { hash, signature } = await signed(copied);
      verifyPlan({ hash, namespace: "shop", owner: "uid-2" }, signature, keys);
    });
  });

  it("numbers slots inside each phase, in order", async () => {
    const at = `@${digest("b")}`;
    const pod = samplePod({
      annotations: {
        "wasmount.dev/module.z": `x/z${at}`,
        "wasmount.dev/order.z": "-1",
        "wasmount.dev/module.a": `x/a${at}`,
        "wasmount.dev/phase.a": "first",
      },
    });
    const { plan } = injected(await decide(pod));
    assert.deepEqual(
      plan.filters.map(({ name, slot }) => [name, slot]),
      [
        ["z", "in-last-01"],
        ["a", "in-first-01"],
        ["headers", "in-last-02"],
      ],
    );
  });

  it("has nothing to do in a second pass", async () => {
    for (const pod of [samplePod(), samplePod({ proxy: { args: null } })]) {
      const once = patched(pod, await decide(pod));
      assert.deepEqual(injected(await decide(once)).patch, []);
    }
  });

  it("moves the fetcher to the front again where another webhook put something before it", async () => {
    const once = patched(samplePod(), await decide(samplePod()));
    const moved: Pod = {
      ...once,
      spec: { ...once.spec, initContainers: [{ name: "istio-init" }, ...(once.spec.initContainers ?? [])] },
    };
    const again = patched(moved, await decide(moved));
    assert.deepEqual(
      again.spec.initContainers?.map(({ name }) => name),
      ["wasmount-fetch", "istio-init"],
    );
  });

  describe("keeps its volumes to itself: refuses", () => {
    const { containers } = samplePod().spec;
    const [app, envoy] = containers as [Container, Container];
    const mount = { name: "wasmount", mountPath: "/data" };
    const cases: [title: string, spec: Partial<Pod["spec"]>, detail: RegExp][] = [
      [
        "a container of its name",
        { containers: [app, envoy, { name: "wasmount-fetch" }] },
        /spec\.containers\[2\] is called wasmount-fetch: call it otherwise/,
      ],
      [
        "a mount in the application",
        { containers: [{ ...app, volumeMounts: [mount] }, envoy] },
        /container app mounts volume wasmount at \/data/,
      ],
      [
        "a mount in an init container that runs later",
        { containers, initContainers: [{ name: "setup", volumeMounts: [mount] }] },
        /container setup mounts/,
      ],
      [
        "a second mount in the proxy",
        { containers: [app, { ...envoy, volumeMounts: [...(envoy.volumeMounts ?? []), mount] }] },
        /container envoy mounts/,
      ],
      [
        "its own mount under another spelling, writable",
        {
          containers: [
            app,
            { ...envoy, volumeMounts: [...(envoy.volumeMounts ?? []), { name: "wasmount", mountPath: "/wasmount/" }] },
          ],
        },
        /container envoy mounts volume wasmount at \/wasmount\//,
      ],
      [
        "a mount of the volume that keeps tokens out",
        { containers: [{ ...app, volumeMounts: [{ name: "wasmount-no-token", mountPath: "/x" }] }, envoy] },
        /wasmount-no-token/,
      ],
    ];
    for (const [title, spec, detail] of cases) {
      it(title, () => denied("NameReserved", detail, decide(samplePod({ spec: { ...samplePod().spec, ...spec } }))));
    }
  });

  it("takes the place of a volume that someone else gave its name to", async () => {
    const volumes = [{ name: "wasmount", configMap: { name: "mine" } }, ...(samplePod().spec.volumes ?? [])];
    const pod = samplePod({ spec: { volumes } });
    assert.deepEqual(patched(pod, await decide(pod)).spec.volumes?.[0], {
      name: "wasmount",
      emptyDir: { sizeLimit: "256Mi" },
    });
  });

  describe("where filters are locked", () => {
    const signing = { ...config, ...newKeys() };
    const annotations = { "wasmount.dev/module.headers": `registry.example/headers@${digest("a")}` };
    const locked = sampleNamespace({ labels: { "wasmount.dev/locked": "true" }, annotations });
    const bare = (spec: Partial<Pod["spec"]> = {}): Pod => {
      const { metadata, spec: own } = samplePod();
      return { metadata: { ...metadata, annotations: {} }, spec: { ...own, ...spec } };
    };

    it("injects what the namespace says, and finds nothing to do in a second pass", async () => {
      const once = patched(bare(), await decide(bare(), locked, unasked, signing));
      assert.deepEqual(injected(await decide(once, locked, unasked, signing)).patch, []);
    });

    it("denies a fetcher that it did not make", async () => {
      const once = patched(bare(), await decide(bare(), locked, unasked, signing));
      const [fetcher] = once.spec.initContainers as [Container];
      const forgeries: Container[] = [
        { name: "wasmount-fetch", image: "evil" },
        { ...fetcher, env: fetcher.env?.filter(({ name }) => name !== "WASMOUNT_PLAN_SIGNATURE") ?? [] },
      ];
      for (const forgery of forgeries) {
        const pod = bare({ initContainers: [forgery] });
        await denied(
          "NameReserved",
          /an init container wasmount-fetch of its own/,
          decide(pod, locked, unasked, signing),
        );
      }
      const elsewhere = { ...locked, name: "other" };
      await denied("NameReserved", /namespace other is locked/, decide(once, elsewhere, unasked, signing));
    });

    it("denies a volume of its name", async () => {
      for (const name of ["wasmount", "wasmount-no-token", "wasmount-pull-secrets"]) {
        const pod = bare({ volumes: [...(bare().spec.volumes ?? []), { name, hostPath: { path: "/" } }] });
        await denied("NameReserved", new RegExp(`a volume ${name} of its own`), decide(pod, locked, unasked, signing));
      }
    });
  });

  describe("pull secrets", () => {
    it("of the pod reach the fetcher alone, and need not exist", async () => {
      const pod = samplePod({ spec: { imagePullSecrets: [{ name: "one" }, {}, { name: "two" }, { name: "one" }] } });
      const decision = await decide(pod);
      const result = patched(pod, decision);
      const volume = result.spec.volumes?.find(({ name }) => name === "wasmount-pull-secrets");
      const source = (name: string, key: string, path: string) => ({
        secret: { name, items: [{ key, path }], optional: true },
      });
      assert.deepEqual(volume?.["projected"], {
        sources: [
          source("one", ".dockerconfigjson", "0.json"),
          source("one", ".dockercfg", "0.legacy.json"),
          source("two", ".dockerconfigjson", "1.json"),
          source("two", ".dockercfg", "1.legacy.json"),
        ],
        defaultMode: 0o444,
      });
      assert.deepEqual(injected(decision).plan.pullSecrets, {
        folder: "/wasmount-pull-secrets",
        names: ["one", "two"],
      });
      const mounting = [...result.spec.containers, ...(result.spec.initContainers ?? [])].filter(container =>
        container.volumeMounts?.some(({ name }) => name === "wasmount-pull-secrets"),
      );
      assert.deepEqual(
        mounting.map(({ name }) => name),
        ["wasmount-fetch"],
      );
      assert.deepEqual(injected(await decide(result)).patch, []);
    });

    it("that no Secret can be called are left out, as the kubelet passes over them", async () => {
      const pod = samplePod({ spec: { imagePullSecrets: [{ name: "My_Secret" }, { name: "../x" }, { name: "one" }] } });
      assert.deepEqual(injected(await decide(pod)).plan.pullSecrets?.names, ["one"]);
      const none = samplePod({ spec: { imagePullSecrets: [{ name: "My_Secret" }] } });
      assert.equal(injected(await decide(none)).plan.pullSecrets, null);
    });

    it("give way to the one that the annotation names", async () => {
      const pod = samplePod({
        annotations: { "wasmount.dev/pull-secret": "mine" },
        spec: { imagePullSecrets: [{ name: "one" }] },
      });
      assert.deepEqual(injected(await decide(pod)).plan.pullSecrets?.names, ["mine"]);
    });

    describe("of the operator, for the fetcher's image,", () => {
      const settings = { ...config, fetcher: { ...config.fetcher, imagePullSecrets: ["ours", "shared"] } };
      const pass = (pod: Pod) => decide(pod, undefined, unasked, settings);

      it("are added to the pod, and are none for modules, however often admission is asked", async () => {
        const pod = samplePod({ spec: { imagePullSecrets: [{ name: "own" }] } });
        const first = await pass(pod);
        const result = patched(pod, first);
        assert.deepEqual(result.spec.imagePullSecrets, [{ name: "own" }, { name: "ours" }, { name: "shared" }]);
        assert.deepEqual(injected(first).plan.pullSecrets?.names, ["own"]);
        const second = await pass(result);
        assert.deepEqual(injected(second).patch, []);
        assert.deepEqual(injected(second).plan, injected(first).plan);
      });

      it("are for modules where the author lists them, too", async () => {
        const pod = samplePod({ spec: { imagePullSecrets: [{ name: "shared" }, { name: "own" }] } });
        const first = await pass(pod);
        const result = patched(pod, first);
        assert.deepEqual(result.spec.imagePullSecrets, [{ name: "shared" }, { name: "own" }, { name: "ours" }]);
        assert.deepEqual(injected(first).plan.pullSecrets?.names, ["shared", "own"]);
        assert.deepEqual(injected(await pass(result)).patch, []);
      });

      it("leave a pod without any without credentials for modules", async () => {
        const pod = samplePod();
        const first = await pass(pod);
        assert.equal(injected(first).plan.pullSecrets, null);
        assert.deepEqual(injected(await pass(patched(pod, first))).patch, []);
      });

      it("are told apart whatever shape the volume has that says which were the author's", async () => {
        for (const projected of [null, "x", { sources: "x" }, { sources: [null, {}, { secret: null }] }]) {
          const pod = patched(samplePod(), await pass(samplePod()));
          const volumes = [...(pod.spec.volumes ?? []), { name: "wasmount-pull-secrets", projected }];
          const odd = { ...pod, spec: { ...pod.spec, volumes } };
          assert.equal(injected(await pass(odd)).plan.pullSecrets, null);
        }
      });
    });

    it("that are none leave no trace", async () => {
      const pod = samplePod();
      const decision = await decide(pod);
      assert.equal(injected(decision).plan.pullSecrets, null);
      assert.ok(!JSON.stringify(patched(pod, decision)).includes("pull-secrets"));
    });
  });

  describe("a filter that may be left out", () => {
    const pod = samplePod({ annotations: { "wasmount.dev/on-failure.headers": "open" } });

    it("is denied unless the operator allows it", () =>
      denied("OpenFailureForbidden", /on-failure\.headers=open: "block" \(the default\) is allowed/, decide(pod)));

    it("is warned of where the operator does", async () => {
      const allowing = { ...config, failure: { allowOpen: true } };
      const decision = injected(await decide(pod, sampleNamespace(), unasked, allowing));
      assert.equal(decision.plan.filters[0]?.onFailure, "open");
      assert.deepEqual(decision.warnings, [
        "wasmount: filter headers is left out where its module can't be had (on-failure: open)",
      ]);
    });
  });

  describe("a proxy that is not there", () => {
    const { containers } = samplePod().spec;
    const [app] = containers as [Container];
    const expecting = { ...config, proxy: { injectedBy: [{ label: "mesh.example/inject", value: "enabled" }] } };

    it("is waited for where a label says that another webhook adds it", async () => {
      const labels = { "mesh.example/inject": "enabled" };
      const asking = samplePod({ labels, spec: { containers: [app] } });
      const inheriting = samplePod({ spec: { containers: [app] } });
      const namespace = sampleNamespace({ labels: { "wasmount.dev/inject": "true", ...labels } });
      for (const [pod, where] of [
        [asking, sampleNamespace()],
        [inheriting, namespace],
      ] as const) {
        const decision = await decide(pod, where, unasked, expecting);
        assert.equal(decision.outcome, "Deferred");
        assert.equal(decision.reason, "ProxyExpected");
        assert.match(decision.detail, /^label mesh\.example\/inject=enabled on /);
      }
    });

    it("is a denial, with what was looked for, where nothing says so", async () => {
      const pod = samplePod({ labels: { "mesh.example/inject": "disabled" }, spec: { containers: [app] } });
      await denied("ProxyNotFound", /envoy/, decide(pod, sampleNamespace(), unasked, expecting));
    });
  });

  it("keeps the fetcher within the namespace's LimitRanges", async () => {
    const limit = {
      name: "bounds",
      type: "Container",
      min: {},
      max: { memory: "128Mi" },
      maxLimitRequestRatio: {},
    } as const;
    const pod = samplePod();
    const decision = await decide(pod, sampleNamespace({ limits: [limit] }));
    assert.equal(patched(pod, decision).spec.initContainers?.[0]?.resources?.limits?.["memory"], "128Mi");
    const small = { ...limit, max: { memory: "16Mi" } };
    await denied(
      "LimitRangeConflict",
      /at most 16Mi of memory, the fetcher needs 64Mi/,
      decide(pod, sampleNamespace({ limits: [small] })),
    );
  });

  it("keeps what a LimitRange added to the fetcher since the first pass, and nothing of ours that was changed", async () => {
    const once = patched(samplePod(), await decide(samplePod()));
    const [fetcher] = once.spec.initContainers as [Container];
    const resources = {
      requests: { cpu: "9", memory: "64Mi", "ephemeral-storage": "1Gi" },
      limits: { ...fetcher.resources?.limits, "ephemeral-storage": "2Gi" },
    };
    const limited: Pod = { ...once, spec: { ...once.spec, initContainers: [{ ...fetcher, resources }] } };
    const again = patched(limited, await decide(limited)).spec.initContainers?.[0]?.resources;
    assert.deepEqual(again?.requests, { cpu: "10m", memory: "64Mi", "ephemeral-storage": "1Gi" });
    assert.equal(again?.limits?.["ephemeral-storage"], "2Gi");
  });

  it("replaces a fetcher and a status that someone else wrote", async () => {
    const forged = samplePod({
      annotations: { "wasmount.dev/status": "forged" },
      labels: { "wasmount.dev/injected": "true", "wasmount.dev/plan": "forged" },
      spec: {
        containers: samplePod().spec.containers,
        volumes: samplePod().spec.volumes ?? [],
        initContainers: [{ name: "wasmount-fetch", image: "evil" }],
      },
    });
    const honest = patched(samplePod(), await decide(samplePod()));
    const result = patched(forged, await decide(forged));
    assert.deepEqual(result.spec.initContainers, honest.spec.initContainers);
    assert.deepEqual(result.metadata.annotations, honest.metadata.annotations);
    assert.deepEqual(result.metadata.labels, honest.metadata.labels);
  });

  it("holds modules to the release of the proxy's image, else to the configured one", async () => {
    const version = async (image: string) => injected(await decide(samplePod({ proxy: { image } }))).plan.envoyVersion;
    assert.equal(await version("envoyproxy/envoy:v1.33.1"), "1.33");
    assert.equal(await version("envoyproxy/envoy:dev"), "1.40");
  });

  describe("tags", () => {
    const pod = samplePod({ annotations: { "wasmount.dev/module.headers": "registry.example/headers:1.0" } });

    it("are resolved, and what was resolved is pinned", async () => {
      const { plan } = injected(await decide(pod, sampleNamespace(), async () => ({ digest: digest("c") })));
      assert.equal(plan.filters[0]?.digest, digest("c"));
      assert.equal(plan.filters[0]?.reference, "registry.example/headers:1.0");
    });

    it("that can't be resolved deny the pod, with what the registry said", async () => {
      await denied(
        "TagUnresolved",
        /module\.headers: no answer/,
        decide(pod, sampleNamespace(), async () => ({ problem: "no answer", cause: "ECONNREFUSED" })),
      );
    });

    it("are refused where the operator requires digests", async () => {
      const strict = { ...config, reference: { requireDigest: true } };
      await denied("DigestRequired", /headers:1\.0 has no @sha256/, decide(pod, sampleNamespace(), unasked, strict));
      assert.equal((await decide(samplePod(), sampleNamespace(), unasked, strict)).outcome, "Injected");
    });
  });

  it("skips what is not switched on, opted out, or without filters", async () => {
    const skipped = async (pod: Pod, namespace: Namespace) => {
      const { outcome, reason } = await decide(pod, namespace);
      assert.equal(outcome, "Skipped");
      return reason;
    };
    const off = sampleNamespace({ labels: {} });
    assert.equal(await skipped(samplePod(), off), "NotSwitchedOn");
    assert.equal(
      await skipped(samplePod({ labels: { "wasmount.dev/inject": "false" } }), sampleNamespace()),
      "OptedOut",
    );
    assert.equal(
      await skipped(samplePod({ annotations: { "wasmount.dev/module.headers": "none" } }), sampleNamespace()),
      "NoFilters",
    );
  });

  it("denies a reference that is none, pointing at the place", async () => {
    const pod = samplePod({ annotations: { "wasmount.dev/module.headers": "registry.example/Headers:1.0" } });
    await denied("BadReference", /module\.headers: .*"H" at character 18/, decide(pod));
  });

  it("denies filters that do not fit into one plan", async () => {
    const words = () =>
      Array.from({ length: 15_000 }, () => Math.random().toString(36))
        .join(" ")
        .slice(0, 65_000);
    const annotations = Object.fromEntries(
      Array.from({ length: 16 }, (_, index) => [
        [`wasmount.dev/module.f${index}`, `x/f@${digest("a")}`],
        [`wasmount.dev/config.f${index}`, words()],
      ]).flat(),
    );
    const { metadata, spec } = samplePod();
    await denied("PlanTooLarge", /bytes of environment/, decide({ metadata: { ...metadata, annotations }, spec }));
  });

  it("denies a direction that the data plane can't tell apart", async () => {
    const pod = samplePod({ annotations: { "wasmount.dev/direction.headers": "outbound" } });
    await denied(
      "DirectionUnsupported",
      /direction\.headers=outbound: container envoy \(data plane envoy\) has inbound/,
      decide(pod),
    );
  });

  it("passes on what settings and data plane refuse", async () => {
    await denied("UnknownKey", /modul/, decide(samplePod({ annotations: { "wasmount.dev/modul.x": "a" } })));
    await denied("ProxyNotFound", /looked for/, decide(samplePod({ proxy: { name: "other", image: "other" } })));
    await denied(
      "MountShadowed",
      /other/,
      decide(samplePod({ proxy: { volumeMounts: [{ name: "other", mountPath: "/wasmount/x" }] } })),
    );
    await denied("BadSwitch", /maybe/, decide(samplePod({ labels: { "wasmount.dev/inject": "maybe" } })));
  });
});
