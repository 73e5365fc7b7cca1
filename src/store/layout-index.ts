import { type Descriptor, isRecord, readDescriptor } from "../oci/descriptor.ts";
import { RegistryError } from "../oci/error.ts";
import { parseObject } from "../oci/json.ts";
import { OCI_INDEX } from "../oci/media-types.ts";
import { StoreError } from "./error.ts";

/** image-spec, annotations.md: the name of an image in a layout. */
export const NAME_ANNOTATION = "org.opencontainers.image.ref.name";

/** Largest index.json, in bytes: some ten thousand images. */
export const MAX_INDEX = 8 * 1024 * 1024;
const MAX_ENTRIES = 20_000;
const NAME = /^[\x21-\x7e]{1,512}$/;

/** The entries of an index.json (image-spec, image-layout.md). */
export type LayoutIndex = readonly Descriptor[];

/** @throws {StoreError} NotALayout */
export function readIndex(bytes: Buffer, where: string): LayoutIndex {
  try {
    const { schemaVersion, manifests } = parseObject(bytes, where);
    if (schemaVersion !== 2) throw notIndex(where, "schemaVersion is not 2");
    if (!Array.isArray(manifests)) throw notIndex(where, "manifests is not a list");
    if (manifests.length > MAX_ENTRIES) throw notIndex(where, `it lists more than ${MAX_ENTRIES} images`);
    return manifests.map((entry, at) => readDescriptor(entry, `manifests[${at}]`));
  } catch (error) {
    if (error instanceof RegistryError) throw notIndex(where, error.message);
    throw error;
  }
}

export function indexBytes(index: LayoutIndex): Buffer {
  return Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests: index }, null, 2));
}

/** The name of an entry, or null. */
export function nameOf(entry: Descriptor): string | null {
  return entry.annotations?.[NAME_ANNOTATION] ?? null;
}

/**
 * The entry of a name; without one, the only image that there is.
 * @param name a name, a digest, or null
 * @param where how messages call the layout
 * @throws {StoreError} NotFound, Ambiguous
 */
export function findEntry(index: LayoutIndex, name: string | null, where: string): Descriptor {
  const fits = index.filter(entry => name === null || nameOf(entry) === name || entry.digest === name);
  const [entry] = fits;
  if (entry === undefined) {
    const what = name === null ? "no image" : `no image ${JSON.stringify(name)}`;
    throw new StoreError("NotFound", `${where} holds ${what}; it holds ${listed(index)}`);
  }
  if (fits.every(({ digest }) => digest === entry.digest)) return entry;
  throw new StoreError("Ambiguous", `${where} leaves a choice; name one of ${listed(fits)}`);
}

/**
 * The index with an entry under a name, which it takes from whatever had it. Without a name the entry is kept beside
 * the others, once.
 * @throws {StoreError} BadName
 */
export function withEntry(index: LayoutIndex, entry: Descriptor, name: string | null): LayoutIndex {
  if (name !== null && !NAME.test(name))
    throw new StoreError("BadName", `${JSON.stringify(name.slice(0, 80))} is no name of an image in a layout`);
  if (name === null && index.some(({ digest }) => digest === entry.digest)) return index;
  const others = index.filter(other => (name === null || nameOf(other) !== name) && !isUnnamed(other, entry.digest));
  const { annotations = {}, ...rest } = entry;
  const { [NAME_ANNOTATION]: _, ...own } = annotations;
  const all = { ...own, ...(name === null ? {} : { [NAME_ANNOTATION]: name }) };
  return [...others, { ...rest, ...(Object.keys(all).length > 0 ? { annotations: all } : {}) }];
}

/** Whether a text is the content of an oci-layout file of a version that we read. */
export function isLayoutMark(bytes: Buffer): boolean {
  try {
    const mark: unknown = JSON.parse(bytes.toString("utf8"));
    return isRecord(mark) && typeof mark["imageLayoutVersion"] === "string" && /^1\./.test(mark["imageLayoutVersion"]);
  } catch {
    return false;
  }
}

export const LAYOUT_MARK: Buffer = Buffer.from('{"imageLayoutVersion":"1.0.0"}');

function isUnnamed(other: Descriptor, digest: string): boolean {
  return other.digest === digest && nameOf(other) === null;
}

function listed(index: LayoutIndex): string {
  const names = [...new Set(index.map(entry => nameOf(entry) ?? entry.digest))];
  if (names.length === 0) return "nothing";
  const more = names.length > 5 ? ` and ${names.length - 5} more` : "";
  return `${names
    .slice(0, 5)
    .map(name => JSON.stringify(name.slice(0, 120)))
    .join(", ")}${more}`;
}

function notIndex(where: string, why: string): StoreError {
  return new StoreError("NotALayout", `${where} is no index of an OCI image layout: ${why}`);
}
