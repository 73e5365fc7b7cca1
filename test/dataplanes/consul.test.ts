import assert from "node:assert/strict";
import { type ConsulSettings, consulDataPlane } from "../../src/dataplanes/consul.ts";
import type { Attachment, Load, ProxyContainer, ProxyWishes } from "../../src/dataplanes/data-plane.ts";
import type { OrRefusal } from "../../src/decision/refusal.ts";
import type { Pod } from "../../src/kube/pod.ts";
import { changed } from "./changed-pod.ts";
import { consulPods } from "./consul-pods.ts";
import { filterIn } from "./filters.ts";
import { granted, refused } from "./outcome.ts";

const wishes: ProxyWishes = { proxyContainer: null, proxyConfig: null, tcpAllowed: false };
const settings: ConsulSettings = { serviceState: () => "Attached" };
const load: Load = { root: "/wasmount", filters: [filterIn("in-last-01")], locked: false };
const prefix = "consul.hashicorp.com/";

function find(pod: Pod, asked = wishes): OrRefusal<ProxyContainer> {
  return consulDataPlane(settings).find(pod, asked);
}

function attach(pod: Pod, changes: Partial<Load> = {}, given: Partial<ConsulSettings> = {}): OrRefusal<Attachment> {
  const plane = consulDataPlane({ ...settings, ...given });
  return plane.attach(pod, granted(plane.find(pod, wishes)), wishes, { ...load, ...changes });
}

describe("Consul's proxy", () => {
  it("is found as container and as native sidecar, with its user", () => {
    const places = (["classic", "native", "under CNI", "with ACLs"] as const).map(kind => {
      const { list, container, uid, gid, directions } = granted(find(consulPods[kind]));
      assert.deepEqual([container.name, uid, gid, directions], ["consul-dataplane", 5995, 5995, ["inbound"]]);
      return list;
    });
    assert.deepEqual(places, ["containers", "initContainers", "containers", "containers"]);
  });

  it("has the namespace's user on OpenShift", () => {
    const pod = changed(consulPods.classic, {
      container: { name: "consul-dataplane", securityContext: { runAsUser: 1000700001, runAsGroup: 1000700001 } },
    });
    assert.equal(granted(find(pod)).uid, 1000700001);
  });

  it("is refused where there is one for each of several services", () => {
    refused(
      find(consulPods["several services"]),
      "ProxyUnsupported",
      /consul-dataplane-web, consul-dataplane-web-admin/,
    );
  });

  it("is refused where it is a gateway", () => {
    const pod = changed(consulPods.classic, { annotations: { [`${prefix}gateway-kind`]: "mesh-gateway" } });
    refused(find(pod), "ProxyUnsupported", /sidecars \(connect-proxy\) alone/);
  });

  it("is not what the author calls by another name, or what is not there", () => {
    refused(find(consulPods.classic, { ...wishes, proxyContainer: "app" }), "ProxyNotFound", /consul-dataplane/);
    granted(find(consulPods.classic, { ...wishes, proxyContainer: "consul-dataplane" }));
    refused(find({ metadata: {}, spec: { containers: [{ name: "app" }] } }), "ProxyNotFound", /which Consul adds/);
  });

  it("is expected where the pod asks for it", () => {
    const expected = (annotations: Readonly<Record<string, string>>) =>
      consulDataPlane(settings).expected(
        { metadata: { annotations }, spec: { containers: [] } },
        { name: "shop", labels: {}, annotations: {} },
      );
    assert.match(expected({ [`${prefix}connect-inject`]: "true" }) ?? "", /connect-inject=true on the pod/);
    assert.equal(expected({ [`${prefix}connect-inject`]: "false" }), null);
    assert.equal(expected({}), null);
  });
});

describe("filters for Consul's proxy", () => {
  const objects = (pod: Pod, changes: Partial<Load> = {}) => granted(attach(pod, changes)).objects();

  it("hang on the ServiceDefaults of the pod's service, by the path of each slot's module", () => {
    const filters = [
      filterIn("in-last-01", { name: "auth", rootId: "auth_root", config: '{"a":1}' }),
      filterIn("in-last-02", { name: "headers" }),
    ];
    const [object, ...others] = objects(consulPods.classic, { filters });
    assert.equal(others.length, 0);
    const extension = (name: string, slot: string, root: string, more = {}) => ({
      name: "builtin/wasm",
      required: true,
      arguments: {
        Protocol: "http",
        ListenerType: "inbound",
        ProxyType: "connect-proxy",
        PluginConfig: {
          Name: name,
          RootID: root,
          VmConfig: { VmID: slot, Runtime: "v8", Code: { Local: { Filename: `/wasmount/slots/${slot}.wasm` } } },
          ...more,
        },
      },
    });
    assert.deepEqual(object, {
      apiVersion: "consul.hashicorp.com/v1alpha1",
      kind: "ServiceDefaults",
      metadata: { name: "shop", namespace: "shop" },
      spec: {
        protocol: "http",
        mutualTLSMode: "strict",
        envoyExtensions: [
          extension("auth", "in-last-01", "auth_root", { Configuration: '{"a":1}' }),
          extension("headers", "in-last-02", ""),
        ],
      },
    });
  });

  it("may call what their author allows, and be called back", () => {
    const [object] = objects(consulPods.classic, {
      filters: [filterIn("in-last-01", { capabilities: ["proxy_log"] })],
    });
    // biome-ignore lint/suspicious/noExplicitAny: a document, read like one
    const spec = object?.spec as any;
    const allowed =
      spec.envoyExtensions[0].arguments.PluginConfig.CapabilityRestrictionConfiguration.AllowedCapabilities;
    assert.deepEqual(allowed.proxy_log, {});
    assert.deepEqual(allowed.proxy_on_request_headers, {});
    assert.equal(allowed.proxy_http_call, undefined);
  });

  it("change nothing in the pod beside mounts", () => {
    const { bootstrap, labels, annotations, proxy } = granted(attach(consulPods.classic));
    assert.deepEqual([bootstrap, labels, annotations, proxy], [null, {}, {}, { mounts: [] }]);
  });

  it("are those of the service that Consul registers the pod as", () => {
    const service = (pod: Pod) => objects(pod)[0]?.metadata.name;
    const named = (annotations: Readonly<Record<string, string | undefined>>) =>
      changed(consulPods.classic, { annotations: { [`${prefix}connect-service`]: undefined, ...annotations } });
    assert.equal(service(named({ [`${prefix}connect-service`]: " cart " })), "cart");
    assert.equal(service(named({ [`${prefix}kubernetes-service`]: "basket" })), "basket");
    // Consul lets a proxy be nothing else than its service account, whatever the pod says.
    assert.equal(
      service(changed(consulPods["with ACLs"], { annotations: { [`${prefix}connect-service`]: "other" } })),
      "shop",
    );
    refused(attach(named({})), "ProxyUnsupported", /connect-service or consul\.hashicorp\.com\/kubernetes-service/);
    refused(attach(named({ [`${prefix}connect-service`]: "A_B" })), "ProxyUnsupported", /"A_B" is no DNS label/);
  });

  const states = [
    ["Missing", /ServiceDefaults shop is missing, and the pod would run unfiltered: wasmount attach prints it/],
    ["Differs", /does not attach the pod's filters as they are/],
    ["NotSynced", /is being deleted, or has not reached Consul yet/],
  ] as const;
  for (const [state, detail] of states) {
    it(`are refused where that is ${state}`, () =>
      refused(attach(consulPods.classic, {}, { serviceState: () => state }), "SlotNotInstalled", detail));
  }

  it("ask for the object in the pod's namespace where Consul has namespaces", () => {
    const asked = (pod: Pod) => {
      const seen: (string | null)[] = [];
      granted(
        attach(
          pod,
          {},
          {
            serviceState(_, namespace) {
              seen.push(namespace);
              return "Attached";
            },
          },
        ),
      );
      return seen;
    };
    const args = consulPods.classic.spec.containers.find(({ name }) => name === "consul-dataplane")?.args ?? [];
    const enterprise = changed(consulPods.classic, {
      container: { name: "consul-dataplane", args: [...args, "-service-namespace=shop"] },
    });
    assert.deepEqual([asked(consulPods.classic), asked(enterprise)], [[null], ["shop"]]);
  });

  it("come with a warning where nobody looks", () => {
    const unseen = { serviceState: null };
    assert.match(granted(attach(consulPods.classic, {}, unseen)).warnings.join(), /runs unfiltered/);
    assert.doesNotMatch(granted(attach(consulPods.classic)).warnings.join(), /unfiltered/);
  });

  it("come with a warning where a root id is left to the image", () => {
    assert.match(
      granted(attach(consulPods.classic)).warnings.join(),
      /empty root id.*wasmount\.dev\/root-id\.filter-in-last-01/,
    );
    const filters = [filterIn("in-last-01", { rootId: "" })];
    assert.deepEqual(granted(attach(consulPods.classic, { filters })).warnings, []);
  });

  it("stand just before the router, and close at a trap: nothing else can be had", () => {
    refused(
      attach(consulPods.classic, { filters: [filterIn("in-first-01")] }),
      "ProxyUnsupported",
      /phase\.filter-in-first-01=first/,
    );
    for (const runtimeFailure of ["open", "reload"] as const) {
      const filters = [filterIn("in-last-01", { runtimeFailure })];
      refused(
        attach(consulPods.classic, { filters }),
        "ProxyUnsupported",
        new RegExp(`=${runtimeFailure}: .*"closed"`),
      );
    }
  });

  it("are not hidden by another mount", () => {
    const pod = changed(consulPods.classic, {
      container: { name: "consul-dataplane", volumeMounts: [{ name: "own", mountPath: "/wasmount/slots" }] },
    });
    refused(attach(pod), "MountShadowed", /own at \/wasmount\/slots/);
  });
});

describe("Consul's proxy in a locked namespace", () => {
  it("is refused, whatever injected it: its author may have", () => {
    for (const serviceState of [settings.serviceState, null]) {
      for (const kind of ["classic", "native", "under CNI", "with ACLs", "without transparent proxy"] as const) {
        refused(
          attach(consulPods[kind], { locked: true }, { serviceState }),
          "ProxyUnsupported",
          /locked.*Consul's proxy.*hands of the pod's author/,
        );
      }
    }
  });
});
