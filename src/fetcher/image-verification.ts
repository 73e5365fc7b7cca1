import { createHash } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import type { RegistryError } from "../oci/error.ts";
import { parseReference } from "../oci/reference.ts";
import type { Plan, PlanFilter } from "../plan/plan.ts";
import { printable } from "../printable.ts";
import { collectEvidence, type EvidenceSource } from "../trust/collection.ts";
import { TrustError } from "../trust/error.ts";
import { type EvaluationOptions, evaluate, type Found, type JudgedImage } from "../trust/evaluation.ts";
import { MAX_STORED as MAX_KEPT, readEvidence, storedEvidence } from "../trust/evidence.ts";
import { foundInstead, placeOf } from "../trust/judging.ts";
import type { Rule } from "../trust/rule.ts";
import type { Verdict } from "../trust/verdict.ts";
import { FetchError } from "./error.ts";
import type { Volume } from "./volume.ts";

/** What was fetched: from the digest that the plan pins down to that of the image, and the module that it holds. */
export type FetchedImage = Required<Pick<JudgedImage, "digests" | "module">>;

/**
 * Holds an image to the rules of the plan, by what vouches for exactly the digests that were fetched. Admission's word
 * does not count: it may have been unable to ask, and its answer is not in the plan.
 *
 * What vouched for it stays on the volume, so that a fetcher that runs again in the same pod needs no registry for it.
 * @param filters that use the image
 * @returns the policies that it passed
 * @throws FetchError Untrusted, Volume
 */
export async function verifyImage(
  { rules = [] }: Plan,
  filters: readonly PlanFilter[],
  { digests, module }: FetchedImage,
  source: EvidenceSource,
  volume: Volume,
  log: (line: string) => void,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const places = new EvidencePlaces(digests, source, volume, signal);
  const passed = new Set<string>();
  for (const filter of filters) {
    const own = rules.filter(({ policy }) => filter.trust?.rules.includes(policy));
    if (own.length === 0) continue;
    const verdict = await verdictOn(own, { ...imageOf(filter), digests, module }, places);
    for (const text of verdict.warnings) log(`filter ${filter.name}: WARNING: ${printable(text)}`);
    for (const text of verdict.audit) log(`filter ${filter.name}: NOTE: ${printable(text)}`);
    if (verdict.denial !== null) {
      const image = `${filter.repository}@${filter.digest}`;
      throw new FetchError("Untrusted", `filter ${filter.name} may not load ${image}: ${verdict.denial}`);
    }
    for (const { policy, outcome } of verdict.policies) if (outcome === "Passed") passed.add(policy);
  }
  places.keep();
  return [...passed];
}

function imageOf({ repository: name, reference, digest }: PlanFilter) {
  const { registry, repository } = parseReference(name);
  const named = parseReference(reference);
  return { registry, repository, tag: named.tag, byDigest: named.digest === digest };
}

/**
 * By what an earlier run kept, and for the rules that this is not enough for, by what the registry has: a registry that is
 * away, or a rule that only warns, spoils nothing that is proven.
 */
async function verdictOn(rules: readonly Rule[], image: JudgedImage, places: EvidencePlaces): Promise<Verdict> {
  const found = new Map<Rule, Found>();
  const judge = () => evaluate(rules, image, rule => found.get(rule) ?? NOTHING, OPTIONS);
  for (const rule of rules) found.set(rule, places.kept(placeOf(rule, image)));
  const kept = await judge();
  const open = rules.filter((_rule, index) => kept.policies[index]?.outcome !== "Passed");
  if (open.length === 0) return kept;
  for (const rule of open) found.set(rule, await places.asked(placeOf(rule, image)));
  return judge();
}

/** What goes for an image without rules, admission has decided. */
const OPTIONS: EvaluationOptions = { unmatched: "Allow", stage: "Fetcher" };
const NOTHING: Found = { signatures: [], faults: [] };

/** What vouches for one image, by the places that rules name: each is asked once. */
class EvidencePlaces {
  readonly #digests: readonly string[];
  readonly #source: EvidenceSource;
  readonly #volume: Volume;
  readonly #signal: AbortSignal;
  readonly #kept = new Map<string, Found>();
  readonly #asked = new Map<string, Found>();

  constructor(digests: readonly string[], source: EvidenceSource, volume: Volume, signal: AbortSignal) {
    this.#digests = digests;
    this.#source = source;
    this.#volume = volume;
    this.#signal = signal;
  }

  kept(place: string): Found {
    const found = this.#kept.get(place) ?? readKept(this.#path(place));
    this.#kept.set(place, found);
    return found;
  }

  async asked(place: string): Promise<Found> {
    const found = this.#asked.get(place) ?? (await this.#ask(place));
    this.#asked.set(place, found);
    return found;
  }

  /** Writes down what was found, for a later run. */
  keep(): void {
    const readable = [...this.#asked].filter(([, found]) => !("unreadable" in found));
    for (const [place, found] of new Map([...this.#kept, ...readable])) {
      if (!("unreadable" in found)) this.#volume.later(this.#volume.write(this.#path(place), storedEvidence(found)));
    }
  }

  async #ask(place: string): Promise<Found> {
    try {
      return await collectEvidence(this.#source, parseReference(place), this.#digests, this.#signal);
    } catch (error) {
      const unreadable = (problem: RegistryError) => ({ unreadable: problem.message, deferrable: false });
      return foundInstead(error, { signal: this.#signal, unreadable });
    }
  }

  #path(place: string): string {
    const name = createHash("sha256")
      .update([place, ...this.#digests].join("\n"))
      .digest("hex");
    return this.#volume.path("evidence", `${name}.json`);
  }
}

/** It proves itself, wherever it comes from; what can't be read is nothing. */
function readKept(path: string): Found {
  try {
    if (statSync(path).size > MAX_KEPT) return NOTHING;
    return readEvidence(readFileSync(path));
  } catch (error) {
    if (error instanceof TrustError || isMissing(error)) return NOTHING;
    throw error;
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ENOENT";
}
