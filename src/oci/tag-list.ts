import { readBody } from "./body.ts";
import { RegistryError } from "./error.ts";
import { parseObject } from "./json.ts";
import type { RegistryLimits } from "./limits.ts";
import { pagesOf } from "./pages.ts";
import { type Place, type Session, urlBelow } from "./session.ts";

/** What every registry takes for `n`; some refuse more. */
const PAGE_SIZE = 100;
const TAG = /^\w[\w.-]{0,127}$/;

/**
 * All tags of a repository, in the registry's order (distribution-spec, "Listing Tags").
 * @throws {RegistryError} TooLarge beyond the limits, BadResponse, NotFound where there is no such repository
 */
export async function listTags(session: Session, place: Place, limits: RegistryLimits): Promise<readonly string[]> {
  const first = urlBelow(place, "tags/list");
  first.searchParams.set("n", String(PAGE_SIZE));
  const headers = { accept: "application/json" };
  const tags: string[] = [];
  const pages = pagesOf(session, place, first, headers, limits.tagPages, async response =>
    readTags(await readBody(response, limits.manifestBytes, "the list of tags", place.signal)),
  );
  for await (const page of pages) {
    tags.push(...page);
    if (tags.length > limits.tags) {
      throw new RegistryError("TooLarge", `the repository has more than the ${limits.tags} tags allowed`).at(place);
    }
  }
  return tags;
}

function readTags(bytes: Buffer): readonly string[] {
  const { tags } = parseObject(bytes, "the list of tags", "BadResponse");
  // `null` is what Go writes for a list of nothing.
  if (tags === null) return [];
  if (!Array.isArray(tags)) throw new RegistryError("BadResponse", "the list of tags has no tags");
  if (!tags.every(tag => typeof tag === "string" && TAG.test(tag))) {
    throw new RegistryError("BadResponse", "the list of tags has an entry that is no tag");
  }
  return tags;
}
