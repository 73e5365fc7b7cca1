import assert from "node:assert/strict";
import { adminPortOf } from "../../src/dataplanes/admin-ports.ts";
import type { Attachment, Load, ProxyContainer, ProxyWishes } from "../../src/dataplanes/data-plane.ts";
import { type IstioSettings, istioDataPlane } from "../../src/dataplanes/istio.ts";
import type { OrRefusal } from "../../src/decision/refusal.ts";
import type { Container, Pod } from "../../src/kube/pod.ts";
import { filterIn } from "./filters.ts";
import { classicPod, istioProxy, meshPod } from "./istio-pods.ts";
import { granted, refused } from "./outcome.ts";

const wishes: ProxyWishes = { proxyContainer: null, proxyConfig: null, tcpAllowed: false };
const settings: IstioSettings = {
  rootNamespace: "istio-system",
  slots: 2,
  allowTcp: false,
  proxyImages: [],
  allowedAnnotations: [],
  slotState: () => "Installed",
};
const load: Load = { root: "/wasmount", filters: ["in-last-01"].map(slot => filterIn(slot)), locked: false };

function find(pod: Pod, asked = wishes): OrRefusal<ProxyContainer> {
  return istioDataPlane(settings).find(pod, asked);
}

function attach(
  pod: Pod,
  changes: Partial<Load & ProxyWishes> = {},
  given: Partial<IstioSettings> = {},
): OrRefusal<Attachment> {
  const plane = istioDataPlane({ ...settings, ...given });
  return plane.attach(pod, granted(plane.find(pod, wishes)), { ...wishes, ...changes }, { ...load, ...changes });
}

describe("Istio's proxy", () => {
  it("is found as native sidecar and as container, with its user", () => {
    const native = granted(find(meshPod()));
    assert.deepEqual([native.list, native.index, native.uid, native.gid], ["initContainers", 1, 1337, 1337]);
    const classic = granted(find(classicPod()));
    assert.deepEqual([classic.list, classic.index], ["containers", 1]);
  });

  it("has its administration interface where its configuration says, else on Istio's port", () => {
    const portWith = (value?: string) =>
      adminPortOf("istio", meshPod({ proxy: value === undefined ? {} : { env: [{ name: "PROXY_CONFIG", value }] } }));
    for (const text of [undefined, "", "{}", "null", '{"proxyAdminPort":15000}']) assert.equal(portWith(text), 15_000);
    assert.equal(portWith('{"proxyAdminPort":15001,"x":1}'), 15_001);
    for (const text of ["{", '{"proxyAdminPort":0}', '{"proxyAdminPort":"x"}', '{"proxyAdminPort":99999}']) {
      assert.equal(portWith(text), null, text);
    }
  });

  it("is not an init container of its name that ends", () => {
    refused(find(meshPod({ proxy: { restartPolicy: "Never" } })), "ProxyNotFound", /istio-proxy/);
  });

  it("has the namespace's user on OpenShift, and 1337 where it is root or says nothing", () => {
    const as = (runAsUser?: number, runAsGroup?: number) => {
      const { uid, gid } = granted(
        find(
          meshPod({
            proxy: {
              securityContext: {
                ...(runAsUser === undefined ? {} : { runAsUser }),
                ...(runAsGroup === undefined ? {} : { runAsGroup }),
              },
            },
          }),
        ),
      );
      return [uid, gid];
    };
    assert.deepEqual(as(1000710001, 1000710001), [1000710001, 1000710001]);
    assert.deepEqual(as(0, 1337), [1337, 1337]);
    assert.deepEqual(as(1337, 0), [1337, 1337]);
    assert.deepEqual(as(), [1337, 1337]);
  });

  it("tells its Envoy by Istio's release", () => {
    const version = (image: string) => granted(find(meshPod({ proxy: { image } }))).envoyVersion;
    assert.equal(version("docker.io/istio/proxyv2:1.28.3"), "1.36");
    assert.equal(version("gcr.io/istio-release/proxyv2:1.25.0-distroless"), "1.33");
    assert.equal(version("auto"), null);
    assert.equal(version("docker.io/istio/proxyv2:latest"), null);
    assert.equal(version("docker.io/istio/notproxyv2:1.28.3"), null);
  });

  it("gives sidecars two directions and gateways one", () => {
    assert.deepEqual(granted(find(meshPod())).directions, ["inbound", "outbound"]);
    assert.deepEqual(granted(find(meshPod({ proxy: { args: ["proxy", "router"] } }))).directions, ["gateway"]);
  });

  const others: readonly (readonly [string, Pod, RegExp])[] = [
    ["a waypoint", meshPod({ proxy: { args: ["proxy", "waypoint"] } }), /targetRefs/],
    ["ztunnel", meshPod({ proxy: { args: ["proxy", "ztunnel"] } }), /ztunnel is no Envoy/],
    ["an agent without Envoy", meshPod({ proxy: { env: [{ name: "DISABLE_ENVOY", value: "true" }] } }), /grpc-agent/],
    ["unknown arguments", meshPod({ proxy: { args: ["sleep"] } }), /looked for proxy sidecar or proxy router/],
    ["agentgateway", { metadata: {}, spec: { containers: [{ name: "agentgateway" }] } }, /class istio/],
    [
      "gRPC without a proxy",
      { metadata: {}, spec: { containers: [{ name: "app" }], initContainers: [{ name: "grpc-bootstrap-init" }] } },
      /grpc-simple/,
    ],
  ];
  for (const [what, pod, detail] of others) {
    it(`is refused where it is ${what}`, () => refused(find(pod), "ProxyUnsupported", detail));
  }

  for (const args of [null, []]) {
    it(`is not there yet where its author wrote it for Istio to complete (args ${JSON.stringify(args)})`, () =>
      refused(find(meshPod({ proxy: { args } })), "ProxyNotFound", /has no args, which Istio adds/));
  }

  it("is not what the author calls by another name", () => {
    refused(find(meshPod(), { ...wishes, proxyContainer: "app" }), "ProxyNotFound", /istio-proxy/);
    granted(find(meshPod(), { ...wishes, proxyContainer: "istio-proxy" }));
  });
});

describe("what Istio is expected to inject", () => {
  const expected = (pod: Pod, labels: Readonly<Record<string, string>>) =>
    istioDataPlane(settings).expected(pod, { name: "shop", labels, annotations: {} });
  const pod = (labels = {}, annotations = {}): Pod => ({ metadata: { labels, annotations }, spec: { containers: [] } });
  const inject = "sidecar.istio.io/inject";

  it("is told by labels of the pod before its annotation, and by those before the namespace's", () => {
    assert.match(expected(pod({ [inject]: "true" }), {}) ?? "", /inject=true on the pod/);
    assert.match(expected(pod({}, { [inject]: "true" }), {}) ?? "", /inject=true on the pod/);
    assert.equal(expected(pod({ [inject]: "false" }, { [inject]: "true" }), { "istio-injection": "enabled" }), null);
    assert.match(expected(pod(), { "istio-injection": "enabled" }) ?? "", /namespace shop/);
    assert.equal(expected(pod(), { "istio-injection": "disabled", "istio.io/rev": "x" }), null);
    assert.match(expected(pod(), { "istio.io/rev": "canary" }) ?? "", /istio\.io\/rev on namespace/);
    assert.match(expected(pod({ "istio.io/rev": "canary" }), {}) ?? "", /istio\.io\/rev on the pod/);
    assert.equal(expected(pod(), {}), null);
  });

  it("is told by a revision's name or a tag of it alike, where nobody is told to leave the pod alone", () => {
    for (const revision of ["canary", "1-31-0", "prod-tag", ""]) {
      assert.match(expected(pod(), { "istio.io/rev": revision }) ?? "", /label istio\.io\/rev on namespace shop/);
      assert.match(expected(pod({ "istio.io/rev": revision }), {}) ?? "", /label istio\.io\/rev on the pod/);
    }
    // As Istio's own registrations have it: a namespace with istio-injection is not a revision's.
    const both = { "istio-injection": "enabled", "istio.io/rev": "canary" };
    assert.match(expected(pod(), both) ?? "", /istio-injection=enabled on namespace shop/);
    assert.match(expected(pod({ [inject]: "true", "istio.io/rev": "canary" }), {}) ?? "", /inject=true on the pod/);
    const off = pod({ [inject]: "false", "istio.io/rev": "canary" });
    assert.equal(expected(off, { "istio.io/rev": "canary" }), null);
    assert.equal(expected(pod({}, { [inject]: "false" }), { "istio.io/rev": "canary" }), null);
  });
});

describe("filters for Istio's proxy", () => {
  it("are attached by labels, without a bootstrap", () => {
    const { bootstrap, fetcherMounts, labels, proxy } = granted(
      attach(meshPod(), { filters: ["in-first-01", "out-last-02"].map(slot => filterIn(slot)) }),
    );
    assert.deepEqual([bootstrap, fetcherMounts, proxy], [null, [], { mounts: [] }]);
    assert.deepEqual(labels, {
      "wasmount.dev/slot-in-first-01": "true",
      "wasmount.dev/slot-out-last-02": "true",
      "wasmount.dev/http-only": "true",
    });
  });

  it("keep all but HTTP away only where an inbound one would be passed by", () => {
    assert.deepEqual(granted(attach(meshPod(), { filters: ["out-last-01"].map(slot => filterIn(slot)) })).labels, {
      "wasmount.dev/slot-out-last-01": "true",
    });
  });

  it("let pass what is not HTTP by the operator's leave alone", () => {
    refused(attach(meshPod(), { tcpAllowed: true }), "TcpForbidden", /istio\.allowTcp/);
    const { labels } = granted(attach(meshPod(), { tcpAllowed: true }, { allowTcp: true }));
    assert.deepEqual(labels, { "wasmount.dev/slot-in-last-01": "true" });
  });

  it("show in the proxy's statistics what serves, beside the author's own", () => {
    const stats = (present?: string) => {
      const key = "sidecar.istio.io/statsInclusionPrefixes";
      return granted(attach(meshPod({ annotations: present === undefined ? {} : { [key]: present } }))).annotations[
        key
      ];
    };
    assert.equal(stats(), "extension_config_discovery");
    assert.equal(stats(""), "extension_config_discovery");
    assert.equal(stats("cluster.outbound,listener"), "cluster.outbound,listener,extension_config_discovery");
    assert.equal(stats("extension_config_discovery,listener"), "listener,extension_config_discovery");
    assert.equal(stats(stats("a")), stats("a"));
  });

  it("are refused where their slot, or the guard's, is missing or was changed", () => {
    const slotState = (wanted: string, state: "Missing" | "Altered") => (slot: string) =>
      slot === wanted ? state : ("Installed" as const);
    refused(
      attach(meshPod(), {}, { slotState: slotState("in-last-01", "Missing") }),
      "SlotNotInstalled",
      /in-last-01 is missing/,
    );
    refused(
      attach(meshPod(), {}, { slotState: slotState("in-last-01", "Altered") }),
      "SlotNotInstalled",
      /not as wasmount/,
    );
    refused(
      attach(meshPod(), {}, { slotState: slotState("http-only", "Missing") }),
      "SlotNotInstalled",
      /http-only is missing/,
    );
    granted(attach(meshPod(), {}, { slotState: slotState("in-last-02", "Missing") }));
    granted(
      attach(
        meshPod(),
        { filters: ["out-last-01"].map(slot => filterIn(slot)) },
        { slotState: slotState("http-only", "Missing") },
      ),
    );
  });

  it("are refused beyond the slots that there are, with the number it takes", () => {
    const slots = ["in-last-01", "in-last-02", "in-last-03"];
    refused(
      attach(meshPod(), { filters: slots.map(slot => filterIn(slot)) }),
      "SlotsExhausted",
      /in-last-03 .* 2 are installed .* must be 3/,
    );
    granted(attach(meshPod(), { filters: slots.slice(0, 2).map(slot => filterIn(slot)) }));
  });

  it("are refused where a mount would hide them", () => {
    const volumeMounts = [{ name: "other", mountPath: "/wasmount/filters" }];
    refused(attach(meshPod({ proxy: { volumeMounts } })), "MountShadowed", /other/);
  });
});

describe("a locked namespace's traffic", () => {
  const locked = (changes: Parameters<typeof meshPod>[0], given: Partial<IstioSettings> = {}) =>
    attach(meshPod(changes), { locked: true }, given);
  const detours: Readonly<Record<string, string>> = {
    "traffic.sidecar.istio.io/excludeInboundPorts": "8080",
    "traffic.sidecar.istio.io/includeInboundPorts": "",
    "traffic.sidecar.istio.io/excludeInterfaces": "eth0",
    "traffic.sidecar.istio.io/kubevirtInterfaces": "net1",
    "istio.io/reroute-virtual-interfaces": "net1",
    "sidecar.istio.io/interceptionMode": "NONE",
    "sidecar.istio.io/bootstrapOverride": "mine",
    "sidecar.istio.io/proxyImage": "evil/proxyv2",
    "sidecar.istio.io/userVolume": "{}",
    "sidecar.istio.io/userVolumeMount": "{}",
    "inject.istio.io/templates": "mine",
    "proxy.istio.io/config": "proxyMetadata: {}",
    "ambient.istio.io/redirection": "enabled",
  };
  for (const [key, value] of Object.entries(detours)) {
    it(`is not led around the filters by ${key}`, () => {
      refused(locked({ annotations: { [key]: value } }), "Locked", new RegExp(key.replaceAll(".", "\\.")));
      granted(attach(meshPod({ annotations: { [key]: value } })));
    });
  }

  it("may be described as Istio under CNI describes it, and as the operator knows the mesh to", () => {
    const annotations = {
      "sidecar.istio.io/interceptionMode": "REDIRECT",
      "traffic.sidecar.istio.io/includeInboundPorts": "*",
      "traffic.sidecar.istio.io/excludeInboundPorts": "15020",
      "traffic.sidecar.istio.io/includeOutboundIPRanges": "*",
    };
    granted(locked({ annotations }));
    const own = { "traffic.sidecar.istio.io/includeOutboundIPRanges": "10.0.0.0/8" };
    refused(locked({ annotations: own }), "Locked", /includeOutboundIPRanges/);
    const allowedAnnotations = ["traffic.sidecar.istio.io/includeOutboundIPRanges=10.0.0.0/8"];
    granted(locked({ annotations: own }, { allowedAnnotations }));
  });

  it("goes through the proxy that Istio injects", () => {
    for (const place of ["labels", "annotations"] as const) {
      refused(locked({ [place]: { "sidecar.istio.io/inject": "false" } }), "Locked", /not the one that Istio injects/);
    }
    granted(locked({ labels: { "sidecar.istio.io/inject": "true" } }));
    // Istio's own gateways say so, and nothing is redirected to them.
    granted(
      attach(meshPod({ proxy: { args: ["proxy", "router"] }, labels: { "sidecar.istio.io/inject": "false" } }), {
        locked: true,
        filters: ["gw-last-01"].map(slot => filterIn(slot)),
      }),
    );
  });

  it("goes through a proxy whose author gave it resources at most", () => {
    const overrides = (container: object) => ({
      annotations: { "proxy.istio.io/overrides": JSON.stringify({ containers: [container] }) },
    });
    granted(locked(overrides({ name: "istio-proxy", resources: { limits: { cpu: "1" } } })));
    granted(locked(overrides({ name: "istio-proxy", image: "", env: null, args: [], resources: {} })));
    refused(locked(overrides({ name: "istio-proxy", image: "evil" })), "Locked", /with image/);
    refused(locked(overrides({ name: "istio-proxy", env: [{ name: "A" }] })), "Locked", /with env/);
    refused(locked({ annotations: { "proxy.istio.io/overrides": "{" } }), "Locked", /can't be read/);
    refused(locked({ annotations: { "proxy.istio.io/overrides": '{"containers":3}' } }), "Locked", /can't be read/);
  });

  it("goes through an image that the operator allows, where any is named", () => {
    const proxyImages = ["docker.io/istio/proxyv2:"];
    granted(locked({}, { proxyImages }));
    refused(locked({ proxy: { image: "evil/proxyv2:1.28.3" } }, { proxyImages }), "Locked", /operator allows/);
  });

  it("has no container with the proxy's user, whose traffic is not redirected", () => {
    const as = (runAsUser: number): Container => ({ name: "app", securityContext: { runAsUser } });
    refused(locked({ containers: [as(1337)] }), "Locked", /container app runs as user 1337/);
    const named = { ...as(1337), name: "istio-validation" };
    refused(locked({ containers: [named] }), "Locked", /container istio-validation runs as user 1337/);
    granted(locked({ containers: [as(1000)] }));
    const whole = meshPod();
    const pod = { ...whole, spec: { ...whole.spec, securityContext: { runAsUser: 1337 } } };
    refused(attach(pod, { locked: true }), "Locked", /container app runs as user 1337/);
    assert.equal(istioProxy.securityContext?.runAsUser, 1337);
  });
});
