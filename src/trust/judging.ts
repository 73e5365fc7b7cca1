import type { RegistryClient } from "../oci/client.ts";
import { RegistryError, type RegistryErrorCode } from "../oci/error.ts";
import { selectManifest } from "../oci/index-selection.ts";
import { parseReference, type Reference } from "../oci/reference.ts";
import { collectEvidence, type EvidenceSource } from "./collection.ts";
import { type EvaluationOptions, evaluate, type Found, type JudgedImage, type Unreadable } from "./evaluation.ts";
import type { Rule } from "./rule.ts";
import type { Verdict } from "./verdict.ts";

const MAX_DEPTH = 2;

/**
 * What a reference stands for now: its digest, and where that is an index, the digests down to the image that will run.
 * What is pinned afterwards has to be these digests; a tag that is resolved again may be another image.
 * @throws {RegistryError}
 */
export async function resolveImage(
  client: Pick<RegistryClient, "manifest">,
  reference: Reference,
  signal: AbortSignal,
): Promise<JudgedImage> {
  const { registry, repository, tag, digest } = reference;
  let found = await client.manifest(registry, repository, digest ?? tag ?? "latest", signal);
  const digests = [found.digest];
  while (found.manifest.kind === "index") {
    if (digests.length > MAX_DEPTH) {
      throw new RegistryError("UnsupportedLayout", `indexes are nested more than ${MAX_DEPTH} deep`);
    }
    found = await client.manifest(registry, repository, selectManifest(found.manifest, null).digest, signal);
    digests.push(found.digest);
  }
  return { registry, repository, tag, byDigest: digest !== null, digests };
}

export interface JudgingOptions extends EvaluationOptions {
  /**
   * Words for whoever named the image, about a registry that can't be asked, whose error's own may tell of the network,
   * and about an answer that is no good.
   */
  readonly unreadable: (error: RegistryError) => Unreadable;
  readonly signal: AbortSignal;
}

/**
 * Judges an image by what registries hold of its signatures. Each repository is asked once, whatever number of rules
 * looks there.
 */
export async function judgeImage(
  source: EvidenceSource,
  rules: readonly Rule[],
  image: JudgedImage,
  options: JudgingOptions,
): Promise<Verdict> {
  const found = new Map<string, Found>();
  for (const rule of rules) {
    const place = placeOf(rule, image);
    if (!found.has(place)) found.set(place, await foundAt(source, place, image.digests, options));
  }
  return evaluate(rules, image, rule => found.get(placeOf(rule, image)) ?? NOTHING, options);
}

/** An image whose digest is settled, as its author named it. */
export interface PinnedImage {
  readonly reference: Reference;
  readonly digest: string;
}

/**
 * The same for an image that is pinned already. Only the digest is asked for, whatever its tag means by now. Where not
 * even its manifest can be read, no signature can, either.
 */
export async function judgePinnedImage(
  source: EvidenceSource,
  rules: readonly Rule[],
  { reference, digest }: PinnedImage,
  options: JudgingOptions,
): Promise<Verdict> {
  const { registry, repository, tag } = reference;
  const named = { tag, byDigest: reference.digest !== null };
  const unresolved: JudgedImage = { registry, repository, ...named, digests: [digest] };
  if (rules.length === 0) return evaluate(rules, unresolved, () => NOTHING, options);
  let image: JudgedImage;
  try {
    image = { ...(await resolveImage(source, { ...reference, digest }, options.signal)), ...named };
  } catch (error) {
    const found = foundInstead(error, options);
    return evaluate(rules, unresolved, () => found, options);
  }
  return judgeImage(source, rules, image, options);
}

const NOTHING: Found = { signatures: [], faults: [] };

/** A registry that can't be asked, as opposed to one whose answer is no good: that is never a reason to be lenient. */
const UNASKED = new Set<RegistryErrorCode>([
  "Unauthorized",
  "Denied",
  "RateLimited",
  "Server",
  "Timeout",
  "Unreachable",
  "ForbiddenAddress",
  "BadChallenge",
  "BadCredentials",
  "BadProxy",
  // A caller's own end is no answer; what is left is a budget that was used up.
  "Cancelled",
]);

export function isUnasked({ code }: RegistryError): boolean {
  return UNASKED.has(code);
}

async function foundAt(
  source: EvidenceSource,
  place: string,
  digests: readonly string[],
  options: JudgingOptions,
): Promise<Found> {
  try {
    return await collectEvidence(source, parseReference(place), digests, options.signal);
  } catch (error) {
    return foundInstead(error, options);
  }
}

/** What an error stands for: a place that could not be asked, or one whose answer is no good and signs nothing. */
export function foundInstead(
  error: unknown,
  { signal, unreadable }: Pick<JudgingOptions, "signal" | "unreadable">,
): Found {
  if (!(error instanceof RegistryError)) throw error;
  // A caller's own end is its affair; a budget that is over is a registry that did not answer.
  if (error.code === "Cancelled" && !isTimeout(signal)) throw error;
  const found = unreadable(error);
  if (isUnasked(error)) return found;
  return { signatures: [], faults: [found.unreadable] };
}

function isTimeout({ aborted, reason }: AbortSignal): boolean {
  return aborted && reason instanceof DOMException && reason.name === "TimeoutError";
}

/** Where the signatures are that a rule asks for: "registry/repository". */
export function placeOf({ source }: Rule, { registry, repository }: JudgedImage): string {
  return source ?? `${registry}/${repository}`;
}
