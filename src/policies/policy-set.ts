import { createHash } from "node:crypto";
import { TrustError } from "../trust/error.ts";
import type { Policy } from "../trust/policy.ts";
import type { Mode, Rule } from "../trust/rule.ts";
import { type Materials, NO_MATERIALS, ruleOf } from "../trust/rules.ts";
import { type ImageRepository, type NamespaceFacts, type PolicyMatcher, policyMatcher } from "../trust/selection.ts";

/** A policy as it was found: what it says, or why it can't be told. */
export interface FoundPolicy {
  /** "WasmPolicy/release" or "NamespacedWasmPolicy/team/release". */
  readonly name: string;
  /** Null for the cluster's own. */
  readonly namespace: string | null;
  /** Or why it can't be read. */
  readonly policy: Policy | PolicyProblem;
}

/** Why a policy can't be applied. */
export interface PolicyProblem {
  readonly code: "Unreadable" | "BadKey" | "BadTrustRoot" | "Ambiguous";
  readonly problem: string;
}

/** A policy that is for an image and can't be applied. What it would demand is not known, so that nothing satisfies it. */
export interface UnusablePolicy {
  readonly policy: string;
  readonly mode: Mode;
  readonly problem: string;
}

/** What an image has to pass. */
export interface Demands {
  readonly rules: readonly Rule[];
  readonly unusable: readonly UnusablePolicy[];
  /** Of the rules: keys, trusted roots and modes included. What a verdict is kept under. */
  readonly hash: string;
}

/** A policy, ready to be asked about images. */
export interface CompiledPolicy {
  readonly name: string;
  readonly mode: Mode;
  readonly matches: PolicyMatcher;
  /** Or why there is none. */
  readonly rule: HashedRule | PolicyProblem;
}

export interface HashedRule {
  readonly rule: Rule;
  /** SHA-256 of it, 64 hex digits. */
  readonly hash: string;
}

/** All policies at one moment, with all that they refer to. It never changes: another moment has another set. */
export class PolicySet {
  readonly policies: readonly CompiledPolicy[];
  /** By namespace as it is held, which never changes either, and repository. */
  readonly #known = new WeakMap<NamespaceFacts, Map<string, Demands>>();

  constructor(found: readonly FoundPolicy[], materials: Materials) {
    this.policies = distinct(found.map(one => compiled(one, materials)));
  }

  /** What an image of a pod in a namespace has to pass: all that matches. */
  demandsOn(image: ImageRepository, namespace: NamespaceFacts): Demands {
    const known = this.#known.get(namespace) ?? new Map<string, Demands>();
    const name = `${image.registry}/${image.repository}`;
    const demands = known.get(name) ?? this.#demandsOn(image, namespace);
    // Pods' authors choose the names.
    if (known.size >= MAX_KNOWN) known.clear();
    known.set(name, demands);
    this.#known.set(namespace, known);
    return demands;
  }

  #demandsOn(image: ImageRepository, namespace: NamespaceFacts): Demands {
    const matching = this.policies.filter(({ matches }) => matches(image, namespace));
    if (matching.length === 0) return NO_DEMANDS;
    const rules = matching.flatMap(({ rule }) => ("problem" in rule ? [] : [rule]));
    return {
      rules: rules.map(({ rule }) => rule),
      unusable: matching.flatMap(({ name, mode, rule }) =>
        "problem" in rule ? [{ policy: name, mode, problem: rule.problem }] : [],
      ),
      hash: rules.map(({ hash }) => hash).join(" "),
    };
  }
}

/** Repositories of one namespace whose demands are remembered. */
const MAX_KNOWN = 256;

export const NO_DEMANDS: Demands = { rules: [], unusable: [], hash: "" };
export const NO_POLICIES = new PolicySet([], NO_MATERIALS);

function compiled({ name, namespace, policy }: FoundPolicy, materials: Materials): CompiledPolicy {
  if ("problem" in policy) {
    // Whom it is for is as unknown as the rest: it is for everybody it could be for.
    const matches: PolicyMatcher = (_image, { name: asking }) => namespace === null || namespace === asking;
    return { name, mode: "Enforce", matches, rule: policy };
  }
  return { name, mode: policy.spec.mode, matches: policyMatcher(policy), rule: hashedRule(policy, materials) };
}

function hashedRule(policy: Policy, materials: Materials): HashedRule | PolicyProblem {
  try {
    const rule = ruleOf(policy, materials);
    return { rule, hash: createHash("sha256").update(JSON.stringify(rule)).digest("hex") };
  } catch (error) {
    if (!(error instanceof TrustError)) throw error;
    return { code: error.code === "BadTrustRoot" ? "BadTrustRoot" : "BadKey", problem: error.message };
  }
}

/** None of several policies of one name is applied: plans and reports tell policies apart by their names. */
function distinct(policies: readonly CompiledPolicy[]): readonly CompiledPolicy[] {
  const byName = Map.groupBy(policies, ({ name }) => name);
  return policies
    .map(one => (byName.get(one.name)?.length === 1 ? one : { ...one, rule: AMBIGUOUS }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

const AMBIGUOUS: PolicyProblem = {
  code: "Ambiguous",
  problem: "there are several of this name, in the operator's files or beside them in the cluster",
};
