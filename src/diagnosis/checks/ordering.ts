import { REGISTRATION } from "../../admission/registration.ts";
import type { Check } from "../check.ts";
import { type Finding, finding } from "../finding.ts";
import type { RegisteredWebhook, WebhookConfiguration, WebhookRule } from "../webhook-configuration.ts";

const COLLECTION = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations";

/** Webhooks by which meshes add their proxies: by the names of their configurations. */
const MESHES = /^(istio-|consul-|kuma-|linkerd-|osm-|appmesh-|aws-app-mesh-)/;

/** Who is called after us? API servers go by the alphabet of the configurations' names. */
export const orderingCheck: Check = {
  name: "the order of webhooks",
  async run({ cluster }) {
    const found: Finding[] = [];
    for await (const { metadata, webhooks = [] } of cluster.list<WebhookConfiguration>(COLLECTION)) {
      if (metadata.name <= REGISTRATION) continue;
      const forPods = webhooks.filter(({ rules = [] }) => rules.some(isForPods));
      if (forPods.length === 0) continue;
      const where = `MutatingWebhookConfiguration/${metadata.name}`;
      if (isMesh(metadata.name, metadata.labels)) found.push(finding("MeshAfterUs", where));
      else if (forPods.some(isCalledAgain)) found.push(finding("OthersAfterUs", where));
    }
    return found;
  },
};

function isMesh(name: string, labels: Readonly<Record<string, string>> = {}): boolean {
  return MESHES.test(name) || labels["app"] === "sidecar-injector" || /-sidecar-injector|-proxy-injector/.test(name);
}

function isCalledAgain({ reinvocationPolicy }: RegisteredWebhook): boolean {
  return reinvocationPolicy === "IfNeeded";
}

function isForPods({ apiGroups = [], operations = [], resources = [] }: WebhookRule): boolean {
  const has = (list: readonly string[], ...wanted: readonly string[]) => list.some(one => wanted.includes(one));
  return has(apiGroups, "", "*") && has(operations, "CREATE", "*") && has(resources, "pods", "*", "*/*");
}
