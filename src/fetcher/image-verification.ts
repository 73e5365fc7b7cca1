import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import type { RegistryError } from "../oci/error.ts";
import { parseReference } from "../oci/reference.ts";
import type { Plan, PlanFilter } from "../plan/plan.ts";
import { collectEvidence, type EvidenceSource } from "../trust/collection.ts";
import { TrustError } from "../trust/error.ts";
import { evaluate, type Found, type JudgedImage } from "../trust/evaluation.ts";
import { readEvidence, storedEvidence } from "../trust/evidence.ts";
import { foundInstead, placeOf } from "../trust/judging.ts";
import type { Rule } from "../trust/rule.ts";
import type { Verdict } from "../trust/verdict.ts";
import { FetchError } from "./error.ts";
import type { Volume } from "./volume.ts";

/** Evidence of one place, and whether it came from a registry just now. */
interface Collected {
  readonly found: Found;
  readonly fresh: boolean;
}

/**
 * Holds an image to the rules of the plan, by what vouches for exactly the digests that were fetched. Admission's word
 * does not count: it may have been unable to ask, and its answer is not in the plan.
 *
 * What vouched for it stays on the volume, so that a fetcher that runs again in the same pod needs no registry for it.
 * @param digests from the one that the plan pins down to that of the image whose module was fetched
 * @param filters that use the image
 * @returns the policies that it passed
 * @throws FetchError Untrusted, Volume
 */
export async function verifyImage(
  { rules = [] }: Plan,
  filters: readonly PlanFilter[],
  digests: readonly string[],
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
    const verdict = await verdictOn(own, imageOf(filter, digests), places);
    for (const text of [...verdict.warnings, ...verdict.audit]) log(`filter ${filter.name}: WARNING: ${text}`);
    if (verdict.denial !== null) {
      const image = `${filter.repository}@${filter.digest}`;
      throw new FetchError("Untrusted", `filter ${filter.name} may not load ${image}: ${verdict.denial}`);
    }
    for (const { policy, outcome } of verdict.policies) if (outcome === "Passed") passed.add(policy);
  }
  await places.keep();
  return [...passed];
}

function imageOf({ repository: name, reference, digest }: PlanFilter, digests: readonly string[]): JudgedImage {
  const { registry, repository } = parseReference(name);
  const named = parseReference(reference);
  return { registry, repository, tag: named.tag, byDigest: named.digest === digest, digests };
}

/** By what an earlier run kept, and where that is not enough, by what the registry has. */
async function verdictOn(rules: readonly Rule[], image: JudgedImage, places: EvidencePlaces): Promise<Verdict> {
  const judge = async (look: (place: string) => Promise<Found>) => {
    const found = new Map<Rule, Found>();
    for (const rule of rules) found.set(rule, await look(placeOf(rule, image)));
    const evidence = (rule: Rule) => found.get(rule) ?? NOTHING;
    return evaluate(rules, image, evidence, { unmatched: "Allow", stage: "Fetcher" });
  };
  const kept = await judge(place => places.kept(place));
  const isSettled = kept.policies.every(({ outcome }) => outcome === "Passed");
  return isSettled ? kept : judge(place => places.asked(place));
}

const NOTHING: Found = { signatures: [], faults: [] };

/** What vouches for one image, by the places that rules name: each is asked once. */
class EvidencePlaces {
  readonly #digests: readonly string[];
  readonly #source: EvidenceSource;
  readonly #volume: Volume;
  readonly #signal: AbortSignal;
  readonly #collected = new Map<string, Collected>();

  constructor(digests: readonly string[], source: EvidenceSource, volume: Volume, signal: AbortSignal) {
    this.#digests = digests;
    this.#source = source;
    this.#volume = volume;
    this.#signal = signal;
  }

  async kept(place: string): Promise<Found> {
    const collected = this.#collected.get(place);
    if (collected !== undefined) return collected.found;
    const found = await readKept(this.#path(place));
    this.#collected.set(place, { found, fresh: false });
    return found;
  }

  async asked(place: string): Promise<Found> {
    const collected = this.#collected.get(place);
    if (collected?.fresh) return collected.found;
    const found = await this.#ask(place);
    this.#collected.set(place, { found, fresh: true });
    return found;
  }

  /** Writes down what was found, for a later run. */
  async keep(): Promise<void> {
    for (const [place, { found }] of this.#collected) {
      if ("unreadable" in found) continue;
      await this.#volume.write(this.#path(place), storedEvidence(found));
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
async function readKept(path: string): Promise<Found> {
  try {
    return readEvidence(await readFile(path));
  } catch (error) {
    if (error instanceof TrustError || isMissing(error)) return NOTHING;
    throw error;
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ENOENT";
}
