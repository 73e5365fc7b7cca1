import type { ProblemCode } from "../../../src/wasm/problem.ts";

/**
 * One module, what the check must say of it, and what a real Envoy (the pinned one) makes of it. The unit tests
 * hold the check to `problems`; the agreement test holds Envoy to `envoy`.
 */
export interface Case {
  readonly name: string;
  readonly module: Uint8Array;
  /** The codes of all problems, in order. Empty: a good module. */
  readonly problems: readonly ProblemCode[];
  readonly envoy: "accepts" | "refuses" | "crashes";
  /**
   * Why the check and Envoy differ: required where one accepts what the other doesn't and where Envoy crashes
   * instead of refusing, forbidden elsewhere.
   */
  readonly difference?: string;
}

export const memoryExport = ["memory", 2, 0] as const;
export const malloc = { malloc: "i:i" } as const;
