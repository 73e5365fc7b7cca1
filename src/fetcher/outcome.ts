import { BootstrapError } from "../envoy/bootstrap-error.ts";
import { messageOf } from "../error.ts";
import { RegistryError } from "../oci/error.ts";
import { PlanError } from "../plan/error.ts";
import { printable } from "../printable.ts";
import { FetchError } from "./error.ts";

/**
 * Exit codes of `wasmount fetch`, so that a restart loop can be told apart from `kubectl get pod` alone:
 * 0 done, 1 unexpected, 2 no usable plan, 3 the registry could not give the module, 4 the module is refused,
 * 5 the Envoy configuration can't be edited, 6 the volume can't be written or was altered, 143 it was told to end.
 */
export type ExitCode = 0 | 1 | 2 | 3 | 4 | 5 | 6 | 143;

export interface Failure {
  readonly exitCode: ExitCode;
  /** One line for the termination message and the log. */
  readonly line: string;
}

/** What a registry may get wrong about content, as opposed to about answering. */
const REFUSED = new Set([
  "TooLarge",
  "DigestMismatch",
  "SizeMismatch",
  "BadManifest",
  "BadArchive",
  "UnsupportedLayout",
  "NotAModule",
]);

/** Puts whatever ended the fetcher into one line and an exit code. */
export function failureOf(error: unknown): Failure {
  const [exitCode, code] = classify(error);
  const text = printable(messageOf(error).replaceAll(/\s+/g, " "));
  return { exitCode, line: `wasmount-fetch: ${code}: ${text.length > 1_000 ? `${text.slice(0, 1_000)}…` : text}` };
}

function classify(error: unknown): [ExitCode, string] {
  if (error instanceof PlanError) return [2, error.code];
  if (error instanceof RegistryError) return [REFUSED.has(error.code) ? 4 : 3, error.code];
  if (error instanceof BootstrapError) return [5, error.code];
  if (error instanceof FetchError) {
    if (error.code === "BadModule" || error.code === "Untrusted") return [4, error.code];
    return [error.code === "NoBootstrap" ? 5 : 6, error.code];
  }
  return [1, "Unexpected"];
}
