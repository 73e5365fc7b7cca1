import { Ajv2020, type ValidateFunction } from "ajv/dist/2020.js";
import { type Document, parseAllDocuments } from "yaml";
import { schemaProblem } from "../schema-problem.ts";
import { TrustError } from "./error.ts";
import { type Policy, policyName } from "./policy.ts";
import { policyProblems } from "./policy-rules.ts";
import { policySchema } from "./policy-schema.ts";

const MAX_TEXT = 1024 * 1024;
const MAX_POLICIES = 256;
const MAX_ALIASES = 100;

/**
 * Reads policies from a file of YAML documents. Nothing in it is ignored, and all that is wrong is said at once.
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
    .filter(value => value !== null && value !== undefined);
  if (values.length === 0) throw new TrustError("BadPolicy", `${name} holds no policy`);
  if (values.length > MAX_POLICIES) throw new TrustError("BadPolicy", `${name} has more than ${MAX_POLICIES} policies`);
  return checkedPolicies(values, (index, policy) => `${name}: ${policyLabel(index, policy)}`);
}

/** Holds documents to the schema and to each other. @throws {TrustError} BadPolicy, with all problems */
function checkedPolicies(
  values: readonly unknown[],
  label: (index: number, value: unknown) => string,
): readonly Policy[] {
  const validate = validator();
  const policies: Policy[] = [];
  const problems = values.flatMap((value, index) => {
    const found = validate(value)
      ? policyProblems(value)
      : (validate.errors ?? []).map(error => schemaProblem(error, "it"));
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
  const { kind, metadata } = (value ?? {}) as { kind?: unknown; metadata?: { name?: unknown } };
  const name = typeof metadata?.name === "string" ? metadata.name : `document ${index + 1}`;
  return typeof kind === "string" ? `${kind} ${name}` : name;
}

// Compiling costs more than any file it checks, and is left out where nothing is checked: of no use at every start.
let compiled: ValidateFunction<Policy> | undefined;

function validator(): ValidateFunction<Policy> {
  compiled ??= new Ajv2020({ allErrors: true, useDefaults: true, verbose: true }).compile<Policy>(policySchema);
  return compiled;
}
