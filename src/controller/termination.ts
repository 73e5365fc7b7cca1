import { type FetcherReport, readTerminationMessage } from "../fetcher/termination-message.ts";
import { printable } from "../printable.ts";

/** How a run of a fetcher ended: a closed set, for metrics. From exit codes, see `wasmount fetch --help`. */
export const outcomes = [
  "Mounted",
  /** It ended well, with a filter that does nothing since its module could not be had. */
  "Open",
  "NoPlan",
  "Unavailable",
  "Refused",
  "BadConfiguration",
  "Volume",
  "Cancelled",
  "Killed",
  "Unexpected",
] as const;
export type Outcome = (typeof outcomes)[number];

const BY_EXIT_CODE: ReadonlyMap<number, Outcome> = new Map([
  [0, "Mounted"],
  [2, "NoPlan"],
  [3, "Unavailable"],
  [4, "Refused"],
  [5, "BadConfiguration"],
  [6, "Volume"],
  [143, "Cancelled"],
  [137, "Killed"],
]);

/** One end of a fetcher's process, as a kubelet reported it. */
export interface Termination {
  /** How many runs there were before it; with the time of its end, what tells it from others of the pod. */
  readonly run: number;
  /** Milliseconds since 1970, by the node's clock; null where that can't be read. */
  readonly finishedAt: number | null;
  readonly outcome: Outcome;
  /** What people are told of a failure, one line; "" of what went well. */
  readonly problem: string;
  /** What the fetcher says of a run that ended well, where it does. */
  readonly mounted: Mounted | null;
}

/** What a fetcher says that it mounted. */
export interface Mounted {
  readonly bytes: number;
  readonly seconds: number;
  /** Digests of the images whose modules are in place; null where it does not say. */
  readonly digests: readonly string[] | null;
}

const PROBLEM_LENGTH = 512;
const REASON_LENGTH = 64;

/**
 * Reads how a container ended: `state.terminated` or `lastState.terminated` of its status.
 * @param run how many runs there were before this one
 * @returns null for what is none
 */
export function readTermination(value: unknown, run: number): Termination | null {
  const { exitCode, reason, message, finishedAt } = (value ?? {}) as Readonly<Record<string, unknown>>;
  if (typeof exitCode !== "number" || !Number.isInteger(exitCode)) return null;
  const report = readTerminationMessage(typeof message === "string" ? message : "");
  const outcome = outcomeOf(exitCode, reason, report);
  const time = typeof finishedAt === "string" ? Date.parse(finishedAt) : Number.NaN;
  return {
    run,
    finishedAt: Number.isNaN(time) ? null : time,
    outcome,
    problem: outcome === "Mounted" ? "" : problemOf(exitCode, reason, report),
    mounted: exitCode === 0 ? mountedBy(report) : null,
  };
}

function outcomeOf(exitCode: number, reason: unknown, { code }: FetcherReport): Outcome {
  if (reason === "OOMKilled") return "Killed";
  if (exitCode === 0 && code === "Open") return "Open";
  return BY_EXIT_CODE.get(exitCode) ?? "Unexpected";
}

/** The fetcher's own line alone: the end of a log, which may be the message, is more than Events need to know. */
function problemOf(exitCode: number, reason: unknown, { code, text }: FetcherReport): string {
  const word = typeof reason === "string" && /^[A-Za-z]{1,64}$/.test(reason) ? reason.slice(0, REASON_LENGTH) : "Error";
  const said = code === null ? `${word}, without a word from the fetcher` : `${code}: ${withoutSecrets(text)}`;
  const shown = printable(said);
  const short = shown.length > PROBLEM_LENGTH ? `${shown.slice(0, PROBLEM_LENGTH)}…` : shown;
  // A copy: a part of a text keeps the whole of it in memory.
  return Buffer.from(exitCode === 0 ? short : `${short} (exit code ${exitCode})`).toString();
}

/** The fetcher writes none; and where an address slipped in, what may be one is left out of it. */
function withoutSecrets(text: string): string {
  return text.replace(/:\/\/[^\s/@]*@/g, "://…@").replace(/(:\/\/[^\s?]*)\?\S*/g, "$1?…");
}

function mountedBy({ summary }: FetcherReport): Mounted | null {
  if (summary === null) return null;
  const { bytes, seconds, modules } = summary;
  const inPlace = modules?.filter(({ source }) => source !== "none").map(({ digest }) => digest);
  return { bytes, seconds, digests: inPlace ?? null };
}
