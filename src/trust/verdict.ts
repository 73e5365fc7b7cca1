import type { Failure } from "./failure.ts";
import type { Mode } from "./rule.ts";

/** What to do with an image that no policy of the cluster is for. */
export type Unmatched = "Deny" | "Warn" | "Allow";

/** What was found about an image, and what follows. */
export interface Verdict {
  readonly allowed: boolean;
  readonly policies: readonly PolicyVerdict[];
  /** What denied it, short enough for kubectl; null where it is allowed. */
  readonly denial: string | null;
  /** What its author should hear although it is allowed. */
  readonly warnings: readonly string[];
  /** What only the operator's log is to have. */
  readonly audit: readonly string[];
  /** What admission could not find out and leaves to the fetcher, which allows nothing that it can't find out. */
  readonly deferred: readonly string[];
}

export interface PolicyVerdict {
  readonly policy: string;
  readonly mode: Mode;
  /** "Unknown": the registry could not be asked. */
  readonly outcome: "Passed" | "Failed" | "Unknown";
  /** What it lacks, beginning with the policy's name; null where it passed. */
  readonly sentence: string | null;
  readonly authorities: readonly AuthorityVerdict[];
}

export interface AuthorityVerdict {
  readonly name: string;
  /** What has to be stated; null for a signature. */
  readonly predicateType: string | null;
  readonly signers: readonly string[];
  readonly failure: Failure | null;
}
