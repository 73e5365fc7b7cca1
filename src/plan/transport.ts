import { messageOf } from "../error.ts";
import { canonicalPlan, planHash } from "./canonical.ts";
import { PlanError } from "./error.ts";
import type { Plan } from "./plan.ts";
import { readPlan } from "./shape.ts";

export interface EnvironmentVariable {
  readonly name: string;
  readonly value: string;
}

/** A plan as its fetcher gets it. */
export interface PackedPlan {
  readonly variables: readonly EnvironmentVariable[];
  /** The plan's hash, 64 hex digits. */
  readonly hash: string;
}

/**
 * Linux caps one environment string at 128 KiB; a longer one ends the start of the process with "argument list too
 * long". Base64 has no "$", which the kubelet would expand.
 */
const CHUNK_BYTES = 96 * 1024;
const TOTAL_BYTES = 512 * 1024;
/**
 * What has no more bytes is not compressed: it is what most plans have, gzip saves a few hundred of them, and to load it is
 * a twentieth of a fetcher's time.
 */
const PLAIN_BYTES = 2048;
/** What a canonical plan begins with, and gzip doesn't. */
const BRACE = 0x7b;
/** What unpacks to more is a bomb: writing refuses it, so reading may. */
const CANONICAL_BYTES = 8 * 1024 * 1024;

const PREFIX = "WASMOUNT_PLAN_";
/** Holds the plan's signature, where there is one. */
export const SIGNATURE = `${PREFIX}SIGNATURE`;
const HASH = "WASMOUNT_PLAN_SHA256";

/**
 * A plan as environment variables: base64, of gzip where it has more than 2 KiB, cut into `WASMOUNT_PLAN_0…n` of at most
 * 96 KiB, with the plan's hash in `WASMOUNT_PLAN_SHA256`.
 * @throws PlanError TooLarge where the parts would exceed 512 KiB together.
 */
export function planToEnvironment(plan: Plan): PackedPlan {
  const canonical = canonicalPlan(plan);
  const length = Buffer.byteLength(canonical);
  if (length > CANONICAL_BYTES) {
    throw new PlanError("TooLarge", `the plan has ${length} bytes, at most ${CANONICAL_BYTES} are allowed`);
  }
  const hash = planHash(canonical);
  const packed = length > PLAIN_BYTES ? zlib().gzipSync(canonical, { level: 6 }) : Buffer.from(canonical);
  const text = packed.toString("base64");
  if (text.length > TOTAL_BYTES) {
    throw new PlanError("TooLarge", `the plan takes ${text.length} bytes of environment, at most ${TOTAL_BYTES} fit`);
  }
  const variables: EnvironmentVariable[] = [{ name: HASH, value: hash }];
  for (let start = 0; start < text.length; start += CHUNK_BYTES) {
    variables.push({ name: `${PREFIX}${start / CHUNK_BYTES}`, value: text.slice(start, start + CHUNK_BYTES) });
  }
  return { variables, hash };
}

/**
 * Reads the plan back from an environment.
 * @throws PlanError where parts are missing or changed, or the plan is of another schema.
 */
export function planFromEnvironment(environment: Readonly<Record<string, string | undefined>>): {
  plan: Plan;
  hash: string;
} {
  const hash = environment[HASH];
  const chunks: string[] = [];
  for (let chunk = environment[`${PREFIX}0`]; chunk !== undefined; chunk = environment[`${PREFIX}${chunks.length}`]) {
    chunks.push(chunk);
  }
  if (hash === undefined || chunks.length === 0) {
    throw new PlanError("Missing", `no plan in the environment: ${HASH} and ${PREFIX}0 are set by the webhook`);
  }
  const text = chunks.join("");
  if (text.length > TOTAL_BYTES) throw new PlanError("TooLarge", `the plan has more than ${TOTAL_BYTES} bytes`);
  const canonical = unpack(text);
  const actual = planHash(canonical);
  if (actual !== hash) throw new PlanError("HashMismatch", `the plan's hash is ${actual}, ${HASH} says ${hash}`);
  return { plan: readPlan(parse(canonical)), hash };
}

function unpack(text: string): string {
  try {
    const packed = Buffer.from(text, "base64");
    const bytes = packed[0] === BRACE ? packed : zlib().gunzipSync(packed, { maxOutputLength: CANONICAL_BYTES });
    return bytes.toString("utf8");
  } catch (error) {
    throw new PlanError("Corrupt", `the plan in ${PREFIX}0… can't be unpacked: ${messageOf(error)}`, { cause: error });
  }
}

/** Late: see PLAIN_BYTES. */
function zlib() {
  return process.getBuiltinModule("node:zlib");
}

function parse(canonical: string): unknown {
  try {
    return JSON.parse(canonical);
  } catch (error) {
    throw new PlanError("Corrupt", `the plan is not JSON: ${messageOf(error)}`, { cause: error });
  }
}
