import type { Config } from "../config/config.ts";
import { SLOT_DIRECTIONS } from "../dataplanes/data-plane.ts";
import { isRefusal, type OrRefusal, refuse } from "../decision/refusal.ts";
import { ImageReferenceError, parseReference, type Reference } from "../oci/reference.ts";
import type { ResolvedTag } from "../oci/tag-resolver.ts";
import type { FilterTrust, PlanFilter } from "../plan/plan.ts";
import type { ImageJudgement } from "../policies/image-judgement.ts";
import type { FilterSettings } from "./filter-settings.ts";
import { PREFIX } from "./key.ts";

export interface FilterReference {
  readonly filter: FilterSettings;
  readonly reference: Reference;
}

/** What a reference stands for, and what policies say of it; or why it stands for nothing. */
export type SettledImage =
  | { readonly digest: string; readonly judgement: ImageJudgement }
  | Extract<ResolvedTag, { readonly problem: string }>;

/** Reads the references of all filters, under the operator's rules for them. */
export function readReferences(
  filters: readonly FilterSettings[],
  rules: Config["reference"],
): OrRefusal<readonly FilterReference[]> {
  const references: FilterReference[] = [];
  for (const filter of filters) {
    const reference = readReference(filter, rules);
    if (isRefusal(reference)) return reference;
    references.push({ filter, reference });
  }
  return references;
}

function readReference({ name, module }: FilterSettings, { requireDigest }: Config["reference"]): OrRefusal<Reference> {
  const annotation = `annotation ${PREFIX}module.${name}`;
  try {
    const reference = parseReference(module);
    return reference.digest === null && requireDigest
      ? refuse("DigestRequired", `${annotation}: ${module} has no @sha256:… part`)
      : reference;
  } catch (error) {
    if (error instanceof ImageReferenceError) return refuse("BadReference", `${annotation}: ${error.message}`);
    throw error;
  }
}

/**
 * The plan's filters, each in its slot.
 * @param images that the references stand for, in their order
 */
export function planFilters(
  references: readonly FilterReference[],
  images: readonly SettledImage[],
): OrRefusal<readonly PlanFilter[]> {
  const slots = slotsOf(references.map(({ filter }) => filter));
  const filters: PlanFilter[] = [];
  for (const [index, { filter, reference }] of references.entries()) {
    const image = images[index];
    if (image === undefined) throw new Error(`the image of filter ${filter.name} was not asked for`);
    const annotation = `annotation ${PREFIX}module.${filter.name}`;
    if ("problem" in image) {
      return { ...refuse("TagUnresolved", `${annotation}: ${image.problem}`), cause: image.cause };
    }
    const { digest, judgement } = image;
    if (judgement.denial !== null) return refuse("PolicyDenied", `${annotation}: ${judgement.denial}`);
    filters.push({
      name: filter.name,
      slot: slots[index] as string,
      phase: filter.phase,
      repository: `${reference.registry}/${reference.repository}`,
      digest,
      reference: filter.module,
      config: filter.config,
      rootId: filter.rootId,
      onFailure: filter.onFailure,
      runtimeFailure: filter.runtimeFailure,
      capabilities: filter.capabilities,
      ...trustOf(judgement),
    });
  }
  return filters;
}

/** The slots of filters, in their order: each gets the next one of its direction and phase. */
export function slotsOf(filters: readonly Pick<FilterSettings, "direction" | "phase">[]): readonly string[] {
  const filled = new Map<string, number>();
  return filters.map(({ direction, phase }) => {
    const place = `${SLOT_DIRECTIONS[direction]}-${phase}`;
    const number = (filled.get(place) ?? 0) + 1;
    filled.set(place, number);
    return `${place}-${String(number).padStart(2, "0")}`;
  });
}

function trustOf({ rules, deferred }: ImageJudgement): { readonly trust?: FilterTrust } {
  if (rules.length === 0) return {};
  return { trust: { rules: rules.map(({ policy }) => policy), deferred: deferred.length > 0 } };
}
