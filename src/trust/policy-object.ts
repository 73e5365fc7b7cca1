import { Ajv2020, type ValidateFunction } from "ajv/dist/2020.js";
import { schemaProblem } from "../schema-problem.ts";
import { TrustError } from "./error.ts";
import type { Policy } from "./policy.ts";
import { policyProblems } from "./policy-rules.ts";
import { policySchema } from "./policy-schema.ts";

/**
 * Reads a policy as the API server has it: of its metadata only what names it, and nothing of its status. What the
 * server's own schema let through is held to all rules once more: it may be older than this program, or changed.
 * @param value is left as it is
 * @throws {TrustError} BadPolicy, one line for each problem; none names the policy
 */
export function readPolicyObject(value: unknown): Policy {
  const { apiVersion, kind, metadata, spec } = membersOf(value);
  const { name, namespace } = membersOf(metadata);
  const document = structuredClone(present({ apiVersion, kind, metadata: present({ name, namespace }), spec }));
  const problems = policyDocumentProblems(document);
  if (problems.length > 0) throw new TrustError("BadPolicy", problems.join("\n"));
  return document as unknown as Policy;
}

/**
 * What a document has wrong, by schema and rules. A document without problems is a {@link Policy}.
 * @param document gets its defaults filled in
 */
export function policyDocumentProblems(document: unknown): readonly string[] {
  const validate = validator();
  if (validate(document)) return policyProblems(document);
  return (validate.errors ?? []).map(error => schemaProblem(error, "it"));
}

/** The members of what should be an object. */
export function membersOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
}

function present(members: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined));
}

// Compiling costs more than any file it checks, and is left out where nothing is checked: of no use at every start.
let compiled: ValidateFunction<Policy> | undefined;

function validator(): ValidateFunction<Policy> {
  compiled ??= new Ajv2020({ allErrors: true, useDefaults: true, verbose: true }).compile<Policy>(policySchema);
  return compiled;
}
