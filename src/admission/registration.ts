import type { Entry, Side } from "./entry.ts";
import { INJECT, LOCKED } from "./key.ts";

/** A requirement of a label selector (meta/v1 LabelSelectorRequirement). */
export interface Requirement {
  readonly key: string;
  readonly operator: "In" | "NotIn" | "Exists" | "DoesNotExist";
  readonly values?: readonly string[];
}

/** One webhook of a registration, in what tells it apart from the others. */
export interface RegisteredEntry {
  /** Its name in both configurations. */
  readonly name: string;
  readonly entry: Entry;
  readonly namespace: readonly Requirement[];
  readonly object: readonly Requirement[];
}

/** Both configurations are called so: after a mesh's in the alphabet, by which the API server goes. */
export const REGISTRATION = "wasmount";

/** Namespaces that a cluster could not start without; our own is left out beside them. */
export const SYSTEM_NAMESPACES = ["kube-system", "kube-public", "kube-node-lease"] as const;

/** The label by which namespaces are left out by name. */
export const NAMESPACE_NAME = "kubernetes.io/metadata.name";

const is = (key: string): Requirement => ({ key, operator: "Exists" });
const isNot = (key: string): Requirement => ({ key, operator: "DoesNotExist" });
const off = (key: string): Requirement => ({ key, operator: "In", values: ["false"] });
const notOff = (key: string): Requirement => ({ key, operator: "NotIn", values: ["false"] });

const podIsOn = [is(INJECT), notOff(INJECT)];
const namespaceIsOn = [is(INJECT), notOff(INJECT)];

/**
 * The webhooks of each side, as manifests/webhooks.yaml registers them, which a test holds to this. "Not locked" and "not
 * switched on" take two each, since no selector says "absent or false" and leaves out what is junk.
 * @param ownNamespace where wasmount itself runs
 */
export function registeredEntries(ownNamespace: string): readonly RegisteredEntry[] {
  const elsewhere: Requirement = {
    key: NAMESPACE_NAME,
    operator: "NotIn",
    values: [...SYSTEM_NAMESPACES, ownNamespace],
  };
  const entry = (name: string, path: Entry, namespace: readonly Requirement[], object: readonly Requirement[]) => ({
    name: `${name}.wasmount.dev`,
    entry: path,
    namespace: [elsewhere, ...namespace],
    object,
  });
  return [
    entry("locked", "locked", [is(LOCKED), notOff(LOCKED)], []),
    entry("namespace", "namespace", [isNot(LOCKED), ...namespaceIsOn], [notOff(INJECT)]),
    entry("namespace-unlocked", "namespace", [off(LOCKED), ...namespaceIsOn], [notOff(INJECT)]),
    entry("pod", "pod", [isNot(LOCKED), isNot(INJECT)], podIsOn),
    entry("pod-off", "pod", [isNot(LOCKED), off(INJECT)], podIsOn),
    entry("pod-unlocked", "pod", [off(LOCKED), isNot(INJECT)], podIsOn),
    entry("pod-unlocked-off", "pod", [off(LOCKED), off(INJECT)], podIsOn),
  ];
}

/** What all entries of a side have in common, as an API server stores it. */
export function registeredTerms(side: Side): Readonly<Record<string, unknown>> {
  return {
    admissionReviewVersions: ["v1"],
    matchPolicy: "Equivalent",
    rules: [{ apiGroups: [""], apiVersions: ["v1"], operations: ["CREATE"], resources: ["pods"], scope: "Namespaced" }],
    sideEffects: "NoneOnDryRun",
    ...(side === "mutate" ? { reinvocationPolicy: "IfNeeded" } : {}),
  };
}

/** The match conditions of all entries, by name: a static pod runs whatever becomes of its mirror. */
export const MATCH_CONDITIONS: Readonly<Record<string, string>> = {
  "not-a-mirror-pod":
    "!has(object.metadata.annotations) || !('kubernetes.io/config.mirror' in object.metadata.annotations)",
};

/** The failure policy and timeout in seconds that ship; others are a choice, and doctor says what follows from it. */
export const FAILURE_POLICY = "Fail";
export const TIMEOUT_SECONDS = 5;
