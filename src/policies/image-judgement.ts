import type { Mode, Rule } from "../trust/rule.ts";
import type { Verdict } from "../trust/verdict.ts";
import type { Demands } from "./policy-set.ts";

/** What policies say of one image that a pod is to load. */
export interface ImageJudgement {
  /** Why it may not be loaded; null where it may. */
  readonly denial: string | null;
  /** What its author should hear although it may. */
  readonly warnings: readonly string[];
  /** What only the operator's log is to have. */
  readonly audit: readonly string[];
  /** What admission could not find out: the fetcher does, or ends. */
  readonly deferred: readonly string[];
  /** What the fetcher is to verify again. */
  readonly rules: readonly Rule[];
  /** "WasmPolicy/release=Passed" for each policy that is for it. */
  readonly policies: readonly string[];
}

/** Of an image that nobody asked any policy about. */
export const UNJUDGED: ImageJudgement = {
  denial: null,
  warnings: [],
  audit: [],
  deferred: [],
  rules: [],
  policies: [],
};

/** Puts together what was found by the rules of usable policies, and that there are others. */
export function imageJudgement({ rules, unusable }: Demands, verdict: Verdict): ImageJudgement {
  const said = (mode: Mode) =>
    unusable.filter(one => one.mode === mode).map(({ policy, problem }) => `${policy} can't be used: ${problem}`);
  const denials = [...(verdict.denial === null ? [] : [verdict.denial]), ...said("Enforce")];
  return {
    denial: denials.length === 0 ? null : denials.join("; "),
    warnings: [...verdict.warnings, ...said("Warn")],
    audit: [...verdict.audit, ...said("Audit")],
    deferred: verdict.deferred,
    rules,
    policies: [
      ...verdict.policies.map(({ policy, outcome }) => `${policy}=${outcome}`),
      ...unusable.map(({ policy }) => `${policy}=Unusable`),
    ],
  };
}
