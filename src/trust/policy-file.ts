import { type Document, parseAllDocuments } from "yaml";
import { TrustError } from "./error.ts";
import { type Policy, policyName } from "./policy.ts";
import { membersOf, policyDocumentProblems } from "./policy-object.ts";

const MAX_TEXT = 1024 * 1024;
const MAX_POLICIES = 256;
const MAX_ALIASES = 100;

/**
 * What an API server adds to metadata (ObjectMeta of k8s.io/apimachinery, pkg/apis/meta/v1/types.go): in a file that
 * `kubectl get -o yaml` wrote, it says nothing about the policy.
 */
const SERVER_METADATA: ReadonlySet<string> = new Set([
  "creationTimestamp",
  "deletionGracePeriodSeconds",
  "deletionTimestamp",
  "finalizers",
  "generateName",
  "generation",
  "managedFields",
  "ownerReferences",
  "resourceVersion",
  "selfLink",
  "uid",
]);

/**
 * Reads policies from a file of YAML documents, as people write it or as kubectl prints what a cluster has, lists
 * included. Nothing but the server's own metadata and the status is ignored, and all that is wrong is said at once.
 * @param name stands for the file in messages
 * @throws {TrustError} NotYaml, BadPolicy
 */
export function parsePolicies(text: string, name: string): readonly Policy[] {
  if (text.length > MAX_TEXT) throw new TrustError("BadPolicy", `${name} has more than ${MAX_TEXT} characters`);
  const documents: readonly Document.Parsed[] = [...parseAllDocuments(text, { uniqueKeys: true })];
  const broken = documents.flatMap(({ errors }) => errors)[0];
  if (broken) throw new TrustError("NotYaml", `${name} is not YAML: ${broken.message}`);
  const values = documents
    .map(document => document.toJS({ maxAliasCount: MAX_ALIASES }) as unknown)
    .filter(value => value !== null && value !== undefined)
    .flatMap(value => listed(value) ?? [value])
    .map(written);
  if (values.length === 0) throw new TrustError("BadPolicy", `${name} holds no policy`);
  if (values.length > MAX_POLICIES) throw new TrustError("BadPolicy", `${name} has more than ${MAX_POLICIES} policies`);
  return checkedPolicies(values, (index, policy) => `${name}: ${policyLabel(index, policy)}`);
}

/** The items of a list such as kubectl prints; null for what is none. */
function listed(value: unknown): readonly unknown[] | null {
  const { apiVersion, kind, items } = membersOf(value);
  return apiVersion === "v1" && kind === "List" && Array.isArray(items) ? items : null;
}

/** A policy without what only a server writes. */
function written(value: unknown): unknown {
  if (!isObject(value)) return value;
  const { status: _, ...rest } = value;
  const { metadata } = rest;
  if (!isObject(metadata)) return rest;
  const own = Object.entries(metadata).filter(([key]) => !SERVER_METADATA.has(key));
  return { ...rest, metadata: Object.fromEntries(own) };
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Holds documents to the schema and to each other. @throws {TrustError} BadPolicy, with all problems */
export function checkedPolicies(
  values: readonly unknown[],
  label: (index: number, value: unknown) => string,
): readonly Policy[] {
  const policies: Policy[] = [];
  const problems = values.flatMap((value, index) => {
    const found = policyDocumentProblems(value);
    if (found.length === 0) policies.push(value as Policy);
    return found.map(problem => `${label(index, value)}: ${problem}`);
  });
  const names = policies.map(policyName);
  const twice = names.filter((name, index) => names.indexOf(name) !== index);
  const all = [...problems, ...twice.map(name => `${name} is there twice`)];
  if (all.length > 0) throw new TrustError("BadPolicy", all.join("\n"));
  return policies;
}

function policyLabel(index: number, value: unknown): string {
  const { kind, metadata } = membersOf(value);
  const { name: given } = membersOf(metadata);
  const name = typeof given === "string" ? given : `document ${index + 1}`;
  return typeof kind === "string" ? `${kind} ${name}` : name;
}
