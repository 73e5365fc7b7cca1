import type { Config } from "../config/config.ts";

/** A rule of a role (rbac.authorization.k8s.io/v1 PolicyRule). */
export interface WebhookRight {
  readonly group: string;
  readonly resource: string;
  readonly verbs: readonly string[];
  /** Whether it is needed in wasmount's own namespace alone, or in all. */
  readonly own: boolean;
  /** The one object that it is for; without it, all. */
  readonly name?: (config: Config) => string;
  /** Whether an installation with this configuration makes use of it; without it, every one does. */
  readonly needed?: (config: Config) => boolean;
}

const leads = ({ controller }: Config) => controller.enabled;

/** What the webhook's ServiceAccount may do, as manifests/rbac grants it, which a test holds to this. */
export const webhookRights: readonly WebhookRight[] = [
  { group: "", resource: "namespaces", verbs: ["get", "list", "watch"], own: false },
  { group: "", resource: "limitranges", verbs: ["list", "watch"], own: false },
  { group: "", resource: "pods", verbs: ["list", "watch"], own: false },
  { group: "events.k8s.io", resource: "events", verbs: ["create", "patch"], own: false },
  { group: "wasmount.dev", resource: "wasmpolicies", verbs: ["get", "list", "watch"], own: false },
  { group: "wasmount.dev", resource: "namespacedwasmpolicies", verbs: ["get", "list", "watch"], own: false },
  { group: "wasmount.dev", resource: "wasmpolicies/status", verbs: ["patch"], own: false },
  { group: "wasmount.dev", resource: "namespacedwasmpolicies/status", verbs: ["patch"], own: false },
  { group: "", resource: "configmaps", verbs: ["get", "list", "watch", "create", "update", "delete"], own: true },
  { group: "", resource: "secrets", verbs: ["get", "list", "watch"], own: true },
  {
    group: "coordination.k8s.io",
    resource: "leases",
    verbs: ["get", "update"],
    own: true,
    name: ({ controller }) => controller.lease,
    needed: leads,
  },
  { group: "coordination.k8s.io", resource: "leases", verbs: ["create"], own: true, needed: leads },
];
