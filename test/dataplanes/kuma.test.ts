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
  slots: 2,
  allowTcp: false,
  proxyImages: [],
  allowedAnnotations: [],
  slotState: () => "Installed",
};
const load: Load = { root: "/wasmount", filters: [filterIn("in-last-01")], locked: false };
const SIDECAR = "kuma-sidecar";

function find(pod: Pod, asked = wishes): OrRefusal<ProxyContainer> {
  return kumaDataPlane(settings).find(pod, asked);
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
    const pod = changed(kumaPods.native, {
      container: { name: SIDECAR, env: [{ name: "KUMA_DATAPLANE_MESH", value: "payments" }] },
    });
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

describe("ways around Kuma's proxy in a locked namespace", () => {
  const locked = { locked: true };

  it("are not what Kuma's own injection writes", () => {
    for (const pod of Object.values(kumaPods)) granted(attach(pod, locked));
  });

  const annotations: readonly (readonly [string, string])[] = [
    ["traffic.kuma.io/exclude-inbound-ports", "8080"],
    ["traffic.kuma.io/exclude-inbound-ips", "10.0.0.1"],
    ["traffic.kuma.io/exclude-outbound-ports", "443"],
    ["traffic.kuma.io/exclude-outbound-ports-for-uids", "tcp:443:1000"],
    ["traffic.kuma.io/transparent-proxy-configmap-name", "own"],
    ["kuma.io/transparent-proxying", "disabled"],
    ["kuma.io/transparent-proxying-inbound-port", "1"],
    ["kuma.io/transparent-proxying-ip-family-mode", "ipv4"],
    ["kuma.io/transparent-proxying-ebpf", "enabled"],
    ["kuma.io/transparent-proxying-reachable-services", "x"],
    ["kuma.io/sidecar-uid", "1000"],
    ["kuma.io/sidecar-env-vars", "KUMA_CONTROL_PLANE_URL=https://own"],
    ["kuma.io/container-patches", "own"],
    ["kuma.io/application-probe-proxy-port", "8080"],
    ["kuma.io/direct-access-services", "*"],
    ["kuma.io/reachable-backends", "{}"],
    ["k8s.v1.cni.cncf.io/networks", "other"],
  ];
  for (const [name, value] of annotations) {
    it(`are refused: annotation ${name}`, () => {
      const pod = changed(kumaPods.native, { annotations: { [name]: value } });
      refused(attach(pod, locked), "Locked", new RegExp(name));
      granted(attach(pod));
      granted(attach(pod, locked, { allowedAnnotations: [`${name}=${value}`] }));
    });
  }

  it("are refused: a label by which Kuma does not inject", () => {
    const labelled = (value: string) => changed(kumaPods.native, { labels: { "kuma.io/sidecar-injection": value } });
    refused(attach(labelled("disabled"), locked), "Locked", /not the one that Kuma injects/);
    granted(attach(labelled("enabled"), locked));
  });

  const INIT = "kuma-init";
  const withArgument = (...args: readonly string[]) => changed(kumaPods.native, { container: { name: INIT, args } });
  for (const argument of [
    "--redirect-inbound=false",
    "--exclude-inbound-ports=9001,8080",
    "--exclude-inbound-ips=10.0.0.1",
    "--ip-family-mode=ipv4",
    "--kuma-dp-user=1000",
    "--config-file=/other/config.yaml",
    "--dry-run",
    "install",
  ]) {
    it(`are refused: kuma-init with ${argument}`, () =>
      refused(attach(withArgument("--verbose", argument), locked), "Locked", /kuma-init has argument/));
  }

  it("are not what the operator leaves out", () => {
    const allowedAnnotations = [
      "traffic.kuma.io/exclude-inbound-ports=8080",
      "kuma.io/transparent-proxying-ip-family-mode=ipv4",
    ];
    const pod = withArgument("--exclude-inbound-ports=9001,8080", "--ip-family-mode=ipv4", "--kuma-dp-user=5678");
    granted(attach(pod, locked, { allowedAnnotations }));
  });

  it("are refused: nothing redirects, or something else runs in its place", () => {
    const { metadata, spec } = kumaPods.classic;
    refused(attach({ metadata, spec: { ...spec, initContainers: [] } }, locked), "Locked", /nothing leads traffic/);
    const other = changed(kumaPods.native, { container: { name: INIT, command: ["true"] } });
    refused(attach(other, locked), "Locked", /command that is not Kuma's/);
  });

  const CONFIG = "traffic.kuma.io/transparent-proxy-config";
  const text = kumaPods["with a ConfigMap"].metadata.annotations?.[CONFIG] ?? "";
  const configs: readonly (readonly [string, string, RegExp])[] = [
    [
      "inbound is off",
      text.replace("inbound:\n    enabled: true", "inbound:\n    enabled: false"),
      /redirects nothing inbound/,
    ],
    ["a port is left out", text.replace("- 9001", "- 8080"), /leaves out ports 8080/],
    ["some addresses are left out", text.replace("excludePorts:", "excludePortsForIPs:"), /has excludePortsForIPs/],
    [
      "it is spelled so that Kuma alone reads it",
      text.replace("    enabled: true\n    exclude", "    Enabled: false\n    enabled: true\n    exclude"),
      /has Enabled/,
    ],
    ["IPv6 is left out", text.replace("ipFamilyMode: dualstack", "ipFamilyMode: ipv4"), /is for ipv4/],
    ["another user is left alone", text.replace('kumaDPUser: "5678"', 'kumaDPUser: "1000"'), /user 1000/],
    ["nothing is really done", `${text}dryRun: true\n`, /has dryRun/],
    ["it is empty", "", /can't be read/],
    ["it is no YAML", "{", /can't be read/],
    ["it is a list", "[]", /can't be read/],
  ];
  for (const [what, config, detail] of configs) {
    it(`are refused: of the ConfigMap's redirection, ${what}`, () => {
      assert.notEqual(config, text);
      refused(
        attach(changed(kumaPods["with a ConfigMap"], { annotations: { [CONFIG]: config } }), locked),
        "Locked",
        detail,
      );
    });
  }

  it("are refused: images of others, of the proxy and of what redirects", () => {
    refused(attach(kumaPods.native, locked, { proxyImages: ["registry.corp/"] }), "Locked", /allows registry\.corp/);
    granted(attach(kumaPods.native, locked, { proxyImages: ["docker.io/kumahq/"] }));
    const proxyImages = ["docker.io/kumahq/kuma-dp:2.14.3"];
    granted(attach(kumaPods.native, locked, { proxyImages }));
    const other = changed(kumaPods.native, { container: { name: INIT, image: "registry.example/true:1" } });
    refused(attach(other, locked, { proxyImages }), "Locked", /kuma-init runs registry\.example/);
  });

  it("are refused: a container with the proxy's user", () => {
    const shared = changed(kumaPods.native, { container: { name: "app", securityContext: { runAsUser: 5678 } } });
    refused(attach(shared, locked), "Locked", /container app runs as user 5678/);
  });
});
