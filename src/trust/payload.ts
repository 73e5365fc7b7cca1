import { isRecord, quoted } from "../oci/descriptor.ts";
import { isDigest } from "../oci/digest.ts";
import { RegistryError } from "../oci/error.ts";
import { parseObject } from "../oci/json.ts";
import { parseReference } from "../oci/reference.ts";
import type { Claim } from "./claim.ts";
import { TrustError } from "./error.ts";

const TYPE = "cosign container image signature";

/**
 * Reads what a cosign signature of the older form says (cosign, specs/SIGNATURE_SPEC.md): "simple signing". Held to the
 * letter: duplicate keys, keys in another case and further keys beside the ones that count are refused, because Go's
 * reader and ours would see different claims in them.
 * @throws {TrustError} BadEvidence
 */
export function readPayload(bytes: Uint8Array): Claim {
  const { critical, optional, ...rest } = object(bytes);
  const known = exactly(critical, ["identity", "image", "type"], "critical");
  nothing(rest, "it");
  const { "docker-manifest-digest": digest } = exactly(known["image"], ["docker-manifest-digest"], "critical.image");
  const { "docker-reference": reference } = exactly(known["identity"], ["docker-reference"], "critical.identity");
  if (known["type"] !== TYPE) throw bad(`has the critical.type ${shown(known["type"])}, not ${quoted(TYPE)}`);
  if (!isDigest(digest)) throw bad("has a docker-manifest-digest that is no sha256 digest");
  return {
    digest,
    repository: repositoryOf(reference),
    annotations: annotationsOf(optional),
    predicateType: null,
  };
}

/** JSON whose bytes mean one thing to every reader. @throws {TrustError} BadEvidence */
export function object(bytes: Uint8Array, what = "the payload"): Readonly<Record<string, unknown>> {
  try {
    return parseObject(bytes, what);
  } catch (error) {
    if (error instanceof RegistryError) throw new TrustError("BadEvidence", error.message);
    throw error;
  }
}

/** Values that are no text, such as the timestamp that cosign writes on request, never match what a policy asks for. */
export function annotationsOf(value: unknown): ReadonlyMap<string, string> {
  const entries = isRecord(value) ? Object.entries(value) : [];
  return new Map(entries.flatMap(([key, text]) => (typeof text === "string" ? [[key, text] as const] : [])));
}

/** The repository in the one spelling of references, or null where none is named. cosign writes no tag, others might. */
export function repositoryOf(reference: unknown): string | null {
  if (typeof reference !== "string" || reference === "") return null;
  try {
    const { registry, repository } = parseReference(reference);
    return `${registry}/${repository}`;
  } catch {
    return null;
  }
}

function exactly(value: unknown, keys: readonly string[], where: string): Readonly<Record<string, unknown>> {
  if (!isRecord(value)) throw bad(`has no ${where}`);
  const missing = keys.find(key => !Object.hasOwn(value, key));
  if (missing !== undefined) throw bad(`has no ${missing} in ${where}`);
  nothing(Object.fromEntries(Object.entries(value).filter(([key]) => !keys.includes(key))), where);
  return value;
}

function nothing(rest: Readonly<Record<string, unknown>>, where: string): void {
  const [key] = Object.keys(rest);
  if (key !== undefined) throw bad(`has the unknown key ${quoted(key)} in ${where}`);
}

function shown(value: unknown): string {
  return typeof value === "string" ? quoted(value) : "of another kind";
}

function bad(problem: string): TrustError {
  return new TrustError("BadEvidence", `the payload ${problem}`);
}
