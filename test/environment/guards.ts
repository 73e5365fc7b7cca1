import { shipped } from "./installation.ts";
import { type Kubectl, KubectlError } from "./kubectl.ts";
import type { Manifest } from "./stage.ts";
import { until } from "./until.ts";

const BINDING = "ValidatingAdmissionPolicyBinding";
const API = "admissionregistration.k8s.io/v1";

/** A namespace's label that puts it under the test's copy of the guards, and a namespace that has it. */
export interface GuardedPlace {
  readonly label: string;
  readonly value: string;
  readonly namespace: string;
  /** The images that the policies are told to be wasmount's. */
  readonly images: readonly string[];
}

/** The policies that ship, and their bindings. */
export function shippedGuards(): Promise<Manifest[]> {
  return shipped("ValidatingAdmissionPolicy", BINDING);
}

/**
 * The guards as they ship, but under names of their own and only for namespaces with the label: a cluster's other users
 * notice nothing.
 */
async function guards({ label, value, images }: GuardedPlace): Promise<Manifest[]> {
  const manifests = await shippedGuards();
  for (const manifest of manifests) {
    manifest.metadata.name = `${value}-${manifest.metadata.name}`;
    const known = manifest.spec.variables?.find(({ name }: Manifest) => name === "images");
    if (known) known.expression = JSON.stringify(images);
    if (manifest.kind !== BINDING) continue;
    manifest.spec.policyName = `${value}-${manifest.spec.policyName}`;
    manifest.spec.matchResources = { namespaceSelector: { matchLabels: { [label]: value } } };
  }
  return manifests;
}

/** A policy that says, by refusing ConfigMaps, that the API server enforces what was applied before it. */
function sentinel({ label, value }: GuardedPlace): Manifest[] {
  const metadata = { name: `${value}-sentinel` };
  const rule = { apiGroups: [""], apiVersions: ["v1"], operations: ["CREATE"], resources: ["configmaps"] };
  const expression = "object.metadata.name != 'sentinel'";
  return [
    {
      apiVersion: API,
      kind: "ValidatingAdmissionPolicy",
      metadata,
      spec: {
        failurePolicy: "Fail",
        matchConstraints: { resourceRules: [rule] },
        validations: [{ expression, message: "sentinel" }],
      },
    },
    {
      apiVersion: API,
      kind: BINDING,
      metadata,
      spec: {
        policyName: metadata.name,
        validationActions: ["Deny"],
        matchResources: { namespaceSelector: { matchLabels: { [label]: value } } },
      },
    },
  ];
}

/**
 * Applies the guards to the namespaces with a label, and waits until the API server enforces them.
 * @returns the names of the policies, and what removes everything again
 */
export async function applyGuards(
  kubectl: Kubectl,
  place: GuardedPlace,
): Promise<{ readonly policies: readonly string[]; readonly remove: () => Promise<void> }> {
  const manifests = [...(await guards(place)), ...sentinel(place)];
  const bindings = manifests.filter(({ kind }) => kind === BINDING);
  const policies = manifests.filter(({ kind }) => kind !== BINDING);
  const remove = async () => {
    for (const { kind, metadata } of [...bindings, ...policies]) {
      await kubectl.run(["delete", kind, metadata.name, "--ignore-not-found"]);
    }
  };
  // The API server learns of policies in one stream and of bindings in another, each in this order.
  await kubectl.apply(...policies);
  await kubectl.apply(...bindings);
  try {
    await untilEnforced(kubectl, place.namespace);
  } catch (error) {
    await remove();
    throw error;
  }
  return { policies: policies.map(({ metadata }) => metadata.name), remove };
}

/** Waits until the API server enforces the guards in a namespace that has their label. */
export async function untilEnforced(kubectl: Kubectl, namespace: string): Promise<void> {
  const isRefused = async () => {
    try {
      await kubectl.run(["create", "configmap", "sentinel", "-n", namespace, "--dry-run=server"]);
      return false;
    } catch (error) {
      if (error instanceof KubectlError && error.message.includes("sentinel' with binding")) return true;
      throw error;
    }
  };
  await until("the API server to enforce the guards", isRefused, { seconds: 30, bears: () => false });
}
