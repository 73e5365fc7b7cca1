import type { Config } from "../config/config.ts";
import { isRefusal, type OrRefusal, refuse } from "../decision/refusal.ts";
import { ImageReferenceError, parseReference, type Reference } from "../oci/reference.ts";
import type { ResolvedTag } from "../oci/tag-resolver.ts";
import type { PlanFilter } from "../plan/plan.ts";
import type { FilterSettings } from "./filter-settings.ts";
import { PREFIX } from "./key.ts";

export interface FilterReference {
  readonly filter: FilterSettings;
  readonly reference: Reference;
}

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
 * The plan's filters, each in the next slot of its phase.
 * @param digests of the references, in their order
 */
export function planFilters(
  references: readonly FilterReference[],
  digests: readonly ResolvedTag[],
): OrRefusal<readonly PlanFilter[]> {
  const filled = { first: 0, last: 0 };
  const filters: PlanFilter[] = [];
  for (const [index, { filter, reference }] of references.entries()) {
    const resolved = digests[index];
    if (resolved === undefined) throw new Error(`the tag of filter ${filter.name} was not asked for`);
    if ("problem" in resolved) {
      const refusal = refuse("TagUnresolved", `annotation ${PREFIX}module.${filter.name}: ${resolved.problem}`);
      return { ...refusal, cause: resolved.cause };
    }
    filled[filter.phase] += 1;
    filters.push({
      name: filter.name,
      slot: `in-${filter.phase}-${String(filled[filter.phase]).padStart(2, "0")}`,
      phase: filter.phase,
      repository: `${reference.registry}/${reference.repository}`,
      digest: resolved.digest,
      reference: filter.module,
      config: filter.config,
      rootId: filter.rootId,
      onFailure: filter.onFailure,
      runtimeFailure: filter.runtimeFailure,
      capabilities: filter.capabilities,
    });
  }
  return filters;
}
