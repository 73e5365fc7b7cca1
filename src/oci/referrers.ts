import { readBody } from "./body.ts";
import { type Descriptor, isMediaType, isRecord, readAnnotations, readDescriptor } from "./descriptor.ts";
import { hexOf } from "./digest.ts";
import { RegistryError } from "./error.ts";
import { parseObject } from "./json.ts";
import type { RegistryLimits } from "./limits.ts";
import { withoutParameters } from "./manifest.ts";
import { OCI_INDEX } from "./media-types.ts";
import { pagesOf } from "./pages.ts";
import { uploadBytes } from "./push.ts";
import { type Place, type Session, urlBelow } from "./session.ts";
import type { TransportResponse } from "./transport.ts";

/** How a registry without a referrers API refuses the question: most with 404, some because they know no such route. */
const WITHOUT_API: readonly number[] = [400, 404, 406];
/** Times that an index is written until a reading shows that nobody overwrote it. */
const WRITES = 4;

/**
 * What the registry says refers to a manifest: signatures, attestations and the like (distribution-spec, "Listing
 * Referrers"), by the API or, where there is none, by the index under the fallback tag.
 *
 * Only a hint: each descriptor's artifactType and annotations are the registry's claim, and a registry may leave out
 * what it likes. What is fetched by a descriptor's digest must be judged by its own content.
 * @param artifactType only these, filtered here whatever the registry filtered; null for all
 * @throws {RegistryError} TooLarge beyond the limits; the list is never cut
 */
export async function listReferrers(
  session: Session,
  place: Place,
  subject: string,
  artifactType: string | null,
  limits: RegistryLimits,
): Promise<readonly Descriptor[]> {
  const first = urlBelow(place, `referrers/${subject}`);
  if (artifactType !== null) {
    if (!isMediaType(artifactType)) throw new RegistryError("Rejected", "artifactType is no media type").at(place);
    first.searchParams.set("artifactType", artifactType);
  }
  const found: Descriptor[] = [];
  const add = (page: readonly Descriptor[]) => {
    found.push(...page.filter(entry => artifactType === null || entry.artifactType === artifactType));
    if (found.length <= limits.referrers) return;
    throw new RegistryError("TooLarge", `there are more than the ${limits.referrers} referrers allowed`).at(place);
  };
  if (!(await eachPage(session, place, first, limits, add))) {
    add((await readFallback(session, place, subject, limits))?.entries ?? []);
  }
  return found;
}

/** Hands on each page of the API's answer. @returns false where the registry has no such API */
async function eachPage(
  session: Session,
  place: Place,
  first: URL,
  limits: RegistryLimits,
  add: (page: readonly Descriptor[]) => void,
): Promise<boolean> {
  let answered = false;
  const pages = pagesOf(session, place, first, { accept: OCI_INDEX }, limits.referrerPages, async response => {
    if (isIndex(response)) return (await readIndex(response, place, limits)).entries;
    response.body.discard();
    return null;
  });
  try {
    for await (const page of pages) {
      if (page === null && !answered) return false;
      if (page === null) throw new RegistryError("BadResponse", "a page of the referrers is no image index").at(place);
      answered = true;
      add(page);
    }
    return true;
  } catch (error) {
    const without = error instanceof RegistryError && WITHOUT_API.includes(error.status ?? 0);
    if (without && !answered) return false;
    throw error;
  }
}

/**
 * Enters a manifest into the index under its subject's fallback tag, as a client must where the registry doesn't keep
 * track itself (distribution-spec, "Pushing Manifests with Subject"). There is no compare-and-set: after each writing
 * the index is read again, and written again where another writer was faster.
 * @throws {RegistryError}
 */
export async function addReferrer(
  session: Session,
  place: Place,
  subject: string,
  entry: Descriptor,
  limits: RegistryLimits,
): Promise<void> {
  for (let written = 0; ; written += 1) {
    const index = await readFallback(session, place, subject, limits);
    if (index?.entries.some(({ digest }) => digest === entry.digest)) return;
    if (written === WRITES) {
      throw new RegistryError("Rejected", `others keep overwriting the index ${fallbackTag(subject)}`).at(place);
    }
    const { document, entries } = index ?? { document: EMPTY_INDEX, entries: [] };
    const manifests = Array.isArray(document["manifests"]) ? document["manifests"] : [];
    const bytes = Buffer.from(JSON.stringify({ ...document, manifests: [...manifests, entry] }));
    if (bytes.length > limits.manifestBytes || entries.length >= MAX_ENTRIES) {
      throw new RegistryError("TooLarge", `the index ${fallbackTag(subject)} has no room for another referrer`).at(
        place,
      );
    }
    await uploadBytes(session, place, `manifests/${fallbackTag(subject)}`, bytes, OCI_INDEX);
  }
}

/** What a pushed manifest says of itself as a referrer, or null where it refers to nothing. */
export function referrerOf(
  bytes: Buffer,
  pushed: Descriptor,
): { readonly subject: string; readonly entry: Descriptor } | null {
  const { subject, artifactType, config, annotations } = parseObject(bytes, "the manifest");
  if (subject === undefined || subject === null) return null;
  // An image without artifactType is listed by its config's media type.
  const type = artifactType ?? (isRecord(config) ? config["mediaType"] : undefined);
  const entry = {
    ...pushed,
    ...(isMediaType(type) ? { artifactType: type } : {}),
    ...(annotations === undefined ? {} : { annotations: readAnnotations(annotations, "annotations") }),
  };
  return { subject: readDescriptor(subject, "subject").digest, entry };
}

const EMPTY_INDEX = { schemaVersion: 2, mediaType: OCI_INDEX, manifests: [] } as const;
/** Of one index: 4 MiB would hold some 20,000, and every reader has to take them all. */
const MAX_ENTRIES = 1024;

interface ReadIndex {
  readonly document: Readonly<Record<string, unknown>>;
  readonly entries: readonly Descriptor[];
}

/** The index under the fallback tag, or null where there is none. */
async function readFallback(
  session: Session,
  place: Place,
  subject: string,
  limits: RegistryLimits,
): Promise<ReadIndex | null> {
  const path = `manifests/${fallbackTag(subject)}`;
  try {
    return await session.read(place, "GET", path, { accept: OCI_INDEX }, async response => {
      if (isIndex(response)) return readIndex(response, place, limits);
      throw new RegistryError("BadManifest", `what the tag ${fallbackTag(subject)} points to is no image index`);
    });
  } catch (error) {
    if (error instanceof RegistryError && error.code === "NotFound") return null;
    throw error;
  }
}

/** distribution-spec, "Referrers Tag Schema". */
function fallbackTag(subject: string): string {
  return `sha256-${hexOf(subject)}`;
}

function isIndex({ headers }: TransportResponse): boolean {
  return withoutParameters(headers["content-type"] ?? "") === OCI_INDEX;
}

async function readIndex(response: TransportResponse, place: Place, limits: RegistryLimits): Promise<ReadIndex> {
  const bytes = await readBody(response, limits.manifestBytes, "the list of referrers", place.signal);
  const document = parseObject(bytes, "the list of referrers");
  const { schemaVersion, mediaType = OCI_INDEX, manifests } = document;
  if (schemaVersion !== 2 || mediaType !== OCI_INDEX || !(Array.isArray(manifests) || manifests === null)) {
    throw new RegistryError("BadManifest", "the list of referrers is no image index");
  }
  // `null` is what Go writes for a list of nothing.
  const listed: readonly unknown[] = manifests ?? [];
  if (listed.length > MAX_ENTRIES) {
    throw new RegistryError("TooLarge", `the list of referrers has more than ${MAX_ENTRIES} entries on one page`);
  }
  return { document, entries: listed.map((entry, index) => readDescriptor(entry, `manifests[${index}]`)) };
}
