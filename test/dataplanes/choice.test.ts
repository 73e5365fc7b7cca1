import assert from "node:assert/strict";
import { chooseProxy } from "../../src/dataplanes/choice.ts";
import type { ProxyWishes } from "../../src/dataplanes/data-plane.ts";
import { dataPlanesOf } from "../../src/dataplanes/data-planes.ts";
import { isRefusal } from "../../src/decision/refusal.ts";
import type { Pod } from "../../src/kube/pod.ts";
import { higressPod } from "./higress-pods.ts";
import { istioProxy, meshPod } from "./istio-pods.ts";

const istio = {
  rootNamespace: "istio-system",
  slots: 2,
  allowTcp: false,
  proxyImages: [],
  allowedAnnotations: [],
  slotState: () => "Installed" as const,
};

function choice(pod: Pod, wishes: Partial<ProxyWishes> = {}, planes = dataPlanesOf({ istio, named: [] })): string {
  const chosen = chooseProxy(pod, { proxyContainer: null, proxyConfig: null, tcpAllowed: false, ...wishes }, planes);
  return isRefusal(chosen)
    ? `${chosen.reason}: ${chosen.detail}`
    : `${chosen.dataPlane.name}: ${chosen.proxy.container.name}`;
}

const envoy = { name: "envoy", image: "envoyproxy/envoy:v1.33.0" };
const plain: Pod = { metadata: {}, spec: { containers: [{ name: "app" }, envoy] } };
const both = meshPod({ containers: [{ name: "app" }, envoy] });

describe("the data plane of a pod", () => {
  it("is the one whose proxy it has", () => {
    assert.equal(choice(plain), "envoy: envoy");
    assert.equal(choice(meshPod()), "istio: istio-proxy");
  });

  it("is not guessed where it has two proxies, and told by the author's word", () => {
    assert.match(choice(both), /^ProxyAmbiguous: istio-proxy \(istio\), envoy \(envoy\) may be it/);
    assert.equal(choice(both, { proxyContainer: "envoy" }), "envoy: envoy");
    assert.equal(choice(both, { proxyContainer: "istio-proxy" }), "istio: istio-proxy");
  });

  it("is a gateway's where plain Envoy would take its container too, and only where the operator names it", () => {
    const labels = {
      "app.kubernetes.io/managed-by": "envoy-gateway",
      "gateway.envoyproxy.io/owning-gateway-name": "web",
      "gateway.envoyproxy.io/owning-gateway-namespace": "shop",
    };
    const managed: Pod = { metadata: { labels }, spec: { containers: [{ ...envoy, args: ["--config-yaml", "{}"] }] } };
    assert.equal(choice(managed, {}, dataPlanesOf({ istio, named: ["envoy-gateway"] })), "envoy-gateway: envoy");
    assert.match(
      choice(managed),
      /^ProxyUnsupported: container envoy is of data plane envoy-gateway.*setting dataPlanes/,
    );
    assert.match(choice(higressPod()), /^ProxyNotFound: .*container higress-gateway is of data plane higress/);
    assert.equal(choice(higressPod(), {}, dataPlanesOf({ istio, named: ["higress"] })), "higress: higress-gateway");
    const two: Pod = { ...managed, spec: { containers: [...managed.spec.containers, istioProxy] } };
    assert.match(choice(two, {}, dataPlanesOf({ istio, named: ["envoy-gateway"] })), /^ProxyAmbiguous: istio-proxy/);
  });

  it("is plain Envoy where the operator has no Istio", () => {
    assert.equal(choice(both, {}, dataPlanesOf({ istio: null, named: [] })), "envoy: envoy");
    assert.match(choice(meshPod(), {}, dataPlanesOf({ istio: null, named: [] })), /^ProxyNotFound: .*istio\.enabled/);
  });

  it("is not another one than that of a proxy which can't be filtered, but by the author's word", () => {
    const waypoint = meshPod({ containers: [{ name: "app" }, envoy], proxy: { args: ["proxy", "waypoint"] } });
    assert.match(choice(waypoint), /^ProxyUnsupported: a waypoint/);
    assert.equal(choice(waypoint, { proxyContainer: "envoy" }), "envoy: envoy");
  });

  it("is named in the refusal by whoever recognised it", () => {
    assert.match(choice(meshPod({ proxy: { args: ["proxy", "ztunnel"] } })), /^ProxyUnsupported: ztunnel/);
    const none = choice({ metadata: {}, spec: { containers: [{ name: "app" }] } });
    assert.match(
      none,
      /^ProxyNotFound: looked for a container named istio-proxy.*; looked for a container named envoy/,
    );
    assert.match(none, /the pod has app/);
    assert.equal(istioProxy.name, "istio-proxy");
  });
});
