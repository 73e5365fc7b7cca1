/** A rule of a role (rbac.authorization.k8s.io/v1 PolicyRule). */
export interface WebhookRight {
  readonly group: string;
  readonly resource: string;
  readonly verbs: readonly string[];
  /** Whether it is needed in wasmount's own namespace alone, or in all. */
  readonly own: boolean;
  /** The one object that it is for; left out where it is for all of their kind. */
  readonly name?: string;
}

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
  { group: "coordination.k8s.io", resource: "leases", verbs: ["create"], own: true },
  {
    group: "coordination.k8s.io",
    resource: "leases",
    verbs: ["get", "update"],
    own: true,
    name: "wasmount-controller",
  },
  { group: "", resource: "secrets", verbs: ["get", "list", "watch"], own: true },
];
