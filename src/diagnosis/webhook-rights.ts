import type { Config } from "../config/config.ts";

/** A rule of a role (rbac.authorization.k8s.io/v1 PolicyRule). */
export interface WebhookRight {
  readonly group: string;
  readonly resource: string;
  readonly verbs: readonly string[];
  /** Whether it is needed in wasmount's own namespace alone, or in all. */
  readonly own: boolean;
  /** Another namespace that alone it is needed in. */
  readonly inside?: (config: Config) => string;
  /** The one object that it is for; without it, all. */
  readonly name?: (config: Config) => string;
  /** Whether an installation with this configuration makes use of it; without it, every one does. */
  readonly needed?: (config: Config) => boolean;
}

const READ = ["get", "list", "watch"] as const;

const leads = ({ controller }: Config) => controller.enabled;
const tells = ({ events }: Config) => events.enabled;
const judges = ({ policy }: Config) => policy.fromCluster;
const certifies = ({ tls }: Config) => "self" in tls;
const signs = ({ plan }: Config) => plan.keysSecret !== null;
const keepsKeys = (config: Config) => certifies(config) || signs(config);
const authority = ({ tls }: Config) => ("self" in tls ? tls.self.caSecret : "");
const registration = ({ tls }: Config) => ("self" in tls ? tls.self.registration : "");

const policies = { group: "wasmount.dev", own: false, needed: judges } as const;
const secrets = { group: "", resource: "secrets", own: true } as const;
const leases = { group: "coordination.k8s.io", resource: "leases", own: true, needed: leads } as const;
const registrations = {
  group: "admissionregistration.k8s.io",
  verbs: [...READ, "patch"],
  own: false,
  name: registration,
  needed: certifies,
} as const;

/** What the webhook's ServiceAccount may do, as the chart grants it, which a test holds to this. */
export const webhookRights: readonly WebhookRight[] = [
  { group: "", resource: "namespaces", verbs: READ, own: false },
  { group: "", resource: "limitranges", verbs: ["list", "watch"], own: false },
  { group: "", resource: "pods", verbs: ["list", "watch"], own: false },
  { group: "events.k8s.io", resource: "events", verbs: ["create", "patch"], own: false, needed: tells },
  { ...policies, resource: "wasmpolicies", verbs: READ },
  { ...policies, resource: "namespacedwasmpolicies", verbs: READ },
  { ...policies, resource: "wasmpolicies/status", verbs: ["patch"] },
  { ...policies, resource: "namespacedwasmpolicies/status", verbs: ["patch"] },
  { group: "", resource: "configmaps", verbs: ["get", "list", "create", "update", "delete"], own: true },
  { group: "", resource: "configmaps", verbs: READ, own: true, needed: judges },
  { ...secrets, verbs: READ, needed: judges },
  { ...secrets, verbs: ["create"], needed: keepsKeys },
  { ...secrets, verbs: [...READ, "update"], name: authority, needed: certifies },
  { ...secrets, verbs: [...READ, "update"], name: ({ plan }) => plan.keysSecret ?? "", needed: signs },
  { ...registrations, resource: "mutatingwebhookconfigurations" },
  { ...registrations, resource: "validatingwebhookconfigurations" },
  { ...leases, verbs: ["get", "update"], name: ({ controller }) => controller.lease },
  { ...leases, verbs: ["create"] },
  {
    group: "networking.istio.io",
    resource: "envoyfilters",
    verbs: ["list", "watch"],
    own: false,
    inside: ({ istio }) => istio.rootNamespace,
    needed: ({ istio }) => istio.enabled,
  },
  {
    group: "kuma.io",
    resource: "meshproxypatches",
    verbs: ["list", "watch"],
    own: false,
    inside: ({ kuma }) => kuma.systemNamespace,
    needed: ({ dataPlanes }) => dataPlanes.includes("kuma"),
  },
  {
    group: "consul.hashicorp.com",
    resource: "servicedefaults",
    verbs: ["list", "watch"],
    own: false,
    needed: ({ dataPlanes, consul }) => dataPlanes.includes("consul") && consul.watchServiceDefaults,
  },
];
