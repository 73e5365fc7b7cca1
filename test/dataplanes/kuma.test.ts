import assert from "node:assert/strict";
import type { Attachment, Load, ProxyContainer, ProxyWishes } from "../../src/dataplanes/data-plane.ts";
import { type KumaSettings, kumaDataPlane } from "../../src/dataplanes/kuma.ts";
import type { OrRefusal } from "../../src/decision/refusal.ts";
import type { Pod } from "../../src/kube/pod.ts";
import { changed } from "./changed-pod.ts";
import { filterIn } from "./filters.ts";
import { kumaPods } from "./kuma-pods.ts";
import { granted, refused } from "./outcome.ts";

const wishes: ProxyWishes = { proxyContainer: null, proxyConfig: null, tcpAllowed: false };
const settings: KumaSettings = {
  systemNamespace: "kuma-system",
  meshes: ["default", "payments"],
  slots: 2,
  allowTcp: false,
  slotState: () => "Installed",
};
const load: Load = { root: "/wasmount", filters: [filterIn("in-last-01")], locked: false };
const SIDECAR = "kuma-sidecar";
const MESH = "kuma.io/mesh";

function find(pod: Pod, asked = wishes): OrRefusal<ProxyContainer> {
  return kumaDataPlane(settings).find(pod, asked);
}

/** A pod with this label of a mesh, if any, whose proxy has these as its mesh. */
function ofMesh(label: string | null, ...told: readonly object[]): Pod {
  const env = told.map(one => ({ name: "KUMA_DATAPLANE_MESH", ...one }));
  const { metadata, spec } = changed(kumaPods.native, { container: { name: SIDECAR, env } });
  const { [MESH]: _, ...labels } = metadata.labels ?? {};
  return { metadata: { ...metadata, labels: { ...labels, ...(label === null ? {} : { [MESH]: label }) } }, spec };
}

function attach(
  pod: Pod,
  changes: Partial<Load & ProxyWishes> = {},
  given: Partial<KumaSettings> = {},
): OrRefusal<Attachment> {
  const plane = kumaDataPlane({ ...settings, ...given });
  return plane.attach(pod, granted(plane.find(pod, wishes)), { ...wishes, ...changes }, { ...load, ...changes });
}

describe("Kuma's proxy", () => {
  it("is found as native sidecar and as container, with its user and both directions", () => {
    const places = Object.values(kumaPods).map(pod => {
      const { list, container, uid, gid, directions } = granted(find(pod));
      assert.deepEqual([container.name, uid, gid], [SIDECAR, 5678, 5678]);
      assert.deepEqual(directions, ["inbound", "outbound"]);
      return list;
    });
    assert.deepEqual(places, ["initContainers", "containers", "initContainers", "initContainers"]);
  });

  it("has the user that its operator gave it", () => {
    const securityContext = { runAsUser: 1000700001, runAsGroup: 1000700001 };
    assert.equal(
      granted(find(changed(kumaPods.native, { container: { name: SIDECAR, securityContext } }))).uid,
      1000700001,
    );
  });

  it("is not an init container of its name that ends", () => {
    refused(
      find(changed(kumaPods.native, { container: { name: SIDECAR, restartPolicy: "Never" } })),
      "ProxyNotFound",
      /Kuma adds/,
    );
  });

  it("tells its Envoy by Kuma's release", () => {
    const version = (image: string) =>
      granted(find(changed(kumaPods.native, { container: { name: SIDECAR, image } }))).envoyVersion;
    assert.equal(version("docker.io/kumahq/kuma-dp:2.14.3"), "1.38");
    assert.equal(version("docker.io/kong/kuma-dp:2.10.0-ubi"), "1.33");
    assert.equal(version(`kuma-dp:2.13.0@sha256:${"a".repeat(64)}`), "1.36");
    assert.equal(version("docker.io/kumahq/kuma-dp:2.99.0"), null);
    assert.equal(version("docker.io/kumahq/kuma-dp:3.0.0"), null);
    assert.equal(version("docker.io/kumahq/notkuma-dp:2.14.3"), null);
  });

  for (const image of ["docker.io/kumahq/kuma-dp:2.9.13", "kuma-dp:1.8.0"]) {
    it(`is refused where its policies can't select it: ${image}`, () =>
      refused(
        find(changed(kumaPods.native, { container: { name: SIDECAR, image } })),
        "ProxyUnsupported",
        /first that can is 2\.10/,
      ));
  }

  for (const value of ["enabled", "provided", "true", "builtin"]) {
    it(`is refused where what arrives does not pass it: gateway ${value}`, () =>
      refused(
        find(changed(kumaPods.native, { annotations: { "kuma.io/gateway": value } })),
        "ProxyUnsupported",
        /does not pass/,
      ));
  }

  it("is refused where it is another role's", () => {
    const zone = changed(kumaPods.native, { labels: { "k8s.kuma.io/zone-proxy-type": "egress" } });
    refused(find(zone), "ProxyUnsupported", /zone proxy/);
    refused(
      find({ metadata: {}, spec: { containers: [{ name: "kuma-gateway" }] } }),
      "ProxyUnsupported",
      /MeshGateway/,
    );
    granted(find(changed(kumaPods.native, { annotations: { "kuma.io/gateway": "disabled" } })));
  });

  it("is not what the author calls by another name", () => {
    refused(find(kumaPods.native, { ...wishes, proxyContainer: "app" }), "ProxyNotFound", /kuma-sidecar/);
    granted(find(kumaPods.native, { ...wishes, proxyContainer: SIDECAR }));
  });
});

describe("what Kuma is expected to inject", () => {
  const expected = (pod: Readonly<Record<string, string>>, namespace: Readonly<Record<string, string>>) =>
    kumaDataPlane(settings).expected(
      { metadata: { labels: pod }, spec: { containers: [] } },
      { name: "shop", labels: namespace, annotations: {} },
    );
  const injection = "kuma.io/sidecar-injection";

  it("is told by the label of the pod before the namespace's, where that has one at all", () => {
    assert.match(expected({}, { [injection]: "enabled" }) ?? "", /=enabled on namespace shop/);
    assert.match(expected({}, { [injection]: "true" }) ?? "", /=true on namespace shop/);
    assert.match(expected({ [injection]: "enabled" }, { [injection]: "disabled" }) ?? "", /=enabled on the pod/);
    assert.equal(expected({ [injection]: "disabled" }, { [injection]: "enabled" }), null);
    assert.equal(expected({ [injection]: "enabled" }, {}), null);
    assert.equal(expected({}, { [injection]: "disabled" }), null);
    assert.equal(expected({}, {}), null);
  });
});

describe("filters for Kuma's proxy", () => {
  it("are attached by labels, without a bootstrap", () => {
    const filters = [filterIn("in-first-01"), filterIn("out-last-02")];
    const { bootstrap, fetcherMounts, labels, annotations, proxy } = granted(attach(kumaPods.native, { filters }));
    assert.deepEqual([bootstrap, fetcherMounts, annotations, proxy], [null, [], {}, { mounts: [] }]);
    assert.deepEqual(labels, {
      "wasmount.dev/slot-in-first-01": "true",
      "wasmount.dev/slot-out-last-02": "true",
      "wasmount.dev/http-only": "true",
    });
  });

  it("rely on the policies of their slots and on the guard, in the pod's mesh", () => {
    const pod = ofMesh("payments", { value: "payments" });
    const names = granted(attach(pod))
      .objects()
      .map(({ kind, metadata }) => `${kind} ${metadata.namespace}/${metadata.name}`);
    assert.deepEqual(names, [
      "MeshProxyPatch kuma-system/wasmount-99-in-last-01-payments",
      "MeshProxyPatch kuma-system/wasmount-00-http-only-payments",
    ]);
    const asked: string[] = [];
    granted(
      attach(
        pod,
        {},
        {
          slotState(slot, mesh) {
            asked.push(`${slot} of ${mesh}`);
            return "Installed";
          },
        },
      ),
    );
    assert.deepEqual(asked, ["in-last-01 of payments", "http-only of payments"]);
  });

  it("are those of the mesh that the label says, where the proxy says none, or of the default one", () => {
    const guard = (pod: Pod) => granted(attach(pod)).objects().at(-1)?.metadata.name;
    assert.equal(guard(ofMesh(null)), "wasmount-00-http-only-default");
    assert.equal(guard(ofMesh("payments")), "wasmount-00-http-only-payments");
    assert.equal(guard(ofMesh(null, { value: "payments" })), "wasmount-00-http-only-payments");
  });

  const meshes: readonly (readonly [string, Pod, RegExp])[] = [
    ["two", ofMesh(null, { value: "default" }, { value: "payments" }), /not say once and plainly/],
    ["one that only the kubelet knows", ofMesh(null, { valueFrom: { fieldRef: {} } }), /not say once and plainly/],
    [
      "another than its label",
      ofMesh("payments", { value: "default" }),
      /label kuma\.io\/mesh=payments .* \(KUMA_DATAPLANE_MESH=default\)/,
    ],
    [
      "one without slots",
      ofMesh(null, { value: "other" }),
      /mesh other has no slots: .*kuma\.meshes .* default, payments/,
    ],
  ];
  for (const [what, pod, detail] of meshes) {
    it(`are refused where the proxy is of ${what}`, () => refused(attach(pod), "ProxyUnsupported", detail));
  }

  it("let pass what is not HTTP where they are outbound alone, and where the namespace wants and may", () => {
    const httpOnly = (changes: Partial<Load & ProxyWishes>, given = {}) =>
      granted(attach(kumaPods.native, changes, given)).labels["wasmount.dev/http-only"];
    assert.equal(httpOnly({ filters: [filterIn("out-last-01")] }), undefined);
    assert.equal(httpOnly({ tcpAllowed: true }, { allowTcp: true }), undefined);
    refused(attach(kumaPods.native, { tcpAllowed: true }), "TcpForbidden", /kuma\.allowTcp/);
  });

  for (const [state, detail] of [
    ["Missing", /wasmount-99-in-last-01-default in namespace kuma-system is missing: the pod would run unfiltered/],
    ["Altered", /is not as wasmount's chart installs it/],
  ] as const) {
    it(`are refused where a slot is ${state}`, () =>
      refused(attach(kumaPods.native, {}, { slotState: () => state }), "SlotNotInstalled", detail));
  }

  it("are refused where the guard is missing, and beyond the slots that are installed", () => {
    const guardless = {
      slotState: (slot: string) => (slot === "http-only" ? ("Missing" as const) : ("Installed" as const)),
    };
    refused(attach(kumaPods.native, {}, guardless), "SlotNotInstalled", /wasmount-00-http-only-default/);
    refused(
      attach(kumaPods.native, { filters: [filterIn("in-last-03")] }),
      "SlotsExhausted",
      /kuma\.slots .* must be 3/,
    );
  });

  it("are not hidden by another mount", () => {
    const pod = changed(kumaPods.native, {
      container: { name: SIDECAR, volumeMounts: [{ name: "own", mountPath: "/wasmount/filters" }] },
    });
    refused(attach(pod), "MountShadowed", /own at \/wasmount\/filters/);
  });
});

describe("Kuma's proxy in a locked namespace", () => {
  it("is refused, whatever injected it: its author may have", () => {
    for (const pod of Object.values(kumaPods)) {
      refused(attach(pod, { locked: true }), "ProxyUnsupported", /locked.*Kuma's proxy.*hands of the pod's author/);
    }
  });
});
