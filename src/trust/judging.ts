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
  /** Words for whoever named the image about a registry that can't be asked: the error's own may tell of the network. */
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
]);

async function foundAt(
  source: EvidenceSource,
  place: string,
  digests: readonly string[],
  { signal, unreadable }: JudgingOptions,
): Promise<Found> {
  try {
    return await collectEvidence(source, parseReference(place), digests, signal);
  } catch (error) {
    if (!(error instanceof RegistryError) || error.code === "Cancelled") throw error;
    if (UNASKED.has(error.code)) return unreadable(error);
    return { signatures: [], faults: [error.message] };
  }
}

function placeOf({ source }: Rule, { registry, repository }: JudgedImage): string {
  return source ?? `${registry}/${repository}`;
}
