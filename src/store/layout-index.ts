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
const TYING_TAG = /^sha256-([a-f0-9]{64})\./;
const NAME = /^[\x21-\x7e]{1,512}$/;

/** An index.json (image-spec, image-layout.md). Other tools say more in theirs than we read, and find it again. */
export interface LayoutIndex {
  /** All that the file says beside its entries. */
  readonly rest: Readonly<Record<string, unknown>>;
  readonly entries: readonly IndexEntry[];
}

interface IndexEntry {
  readonly descriptor: Descriptor;
  /** What the file says of it, fields that we don't know included. */
  readonly written: Readonly<Record<string, unknown>>;
}

export const EMPTY_INDEX: LayoutIndex = { rest: { schemaVersion: 2, mediaType: OCI_INDEX }, entries: [] };

/** @throws {StoreError} NotALayout */
export function readIndex(bytes: Buffer, where: string): LayoutIndex {
  try {
    const { manifests, ...rest } = parseObject(bytes, where);
    if (rest["schemaVersion"] !== 2) throw notIndex(where, "schemaVersion is not 2");
    if (!Array.isArray(manifests)) throw notIndex(where, "manifests is not a list");
    if (manifests.length > MAX_ENTRIES) throw notIndex(where, `it lists more than ${MAX_ENTRIES} images`);
    const entries = manifests.map((entry, at) => ({
      descriptor: readDescriptor(entry, `manifests[${at}]`),
      written: entry,
    }));
    return { rest, entries };
  } catch (error) {
    if (error instanceof RegistryError) throw notIndex(where, error.message);
    throw error;
  }
}

/** @throws {StoreError} TooLarge, where `readIndex` would refuse it */
export function indexBytes({ rest, entries }: LayoutIndex, where: string): Buffer {
  const bytes = Buffer.from(JSON.stringify({ ...rest, manifests: entries.map(({ written }) => written) }, null, 2));
  if (bytes.length > MAX_INDEX || entries.length > MAX_ENTRIES)
    throw new StoreError("TooLarge", `${where} has no room for another image`);
  return bytes;
}

/** The images that an index lists. */
export function listedIn({ entries }: LayoutIndex): readonly Descriptor[] {
  return entries.map(({ descriptor }) => descriptor);
}

/** The name of an entry, or null. */
export function nameOf(entry: Descriptor): string | null {
  return entry.annotations?.[NAME_ANNOTATION] ?? null;
}

/** A tag that ties its image to another one, as cosign's older signatures have it: "sha256-….sig". */
export interface TyingTag {
  readonly tag: string;
  /** Of the other image. */
  readonly digest: string;
}

/** The tag by which an entry is attached to another image, or null. */
export function tyingTagOf(entry: Descriptor): TyingTag | null {
  const tag = nameOf(entry)?.split(":").at(-1) ?? "";
  const [, hex] = TYING_TAG.exec(tag) ?? [];
  return hex === undefined ? null : { tag, digest: `sha256:${hex}` };
}

/**
 * The entry of a name; without one, the only image that there is.
 * @param name a name, a digest, or null
 * @param where how messages call the layout
 * @throws {StoreError} NotFound, Ambiguous
 */
export function findEntry(images: readonly Descriptor[], name: string | null, where: string): Descriptor {
  const fits = images.filter(entry => name === null || nameOf(entry) === name || entry.digest === name);
  const [entry] = fits;
  if (entry === undefined) {
    const what = name === null ? "no image" : `no image ${JSON.stringify(name)}`;
    throw new StoreError("NotFound", `${where} holds ${what}; it holds ${namesOf(images)}`);
  }
  if (fits.every(({ digest }) => digest === entry.digest)) return entry;
  throw new StoreError("Ambiguous", `${where} leaves a choice; name one of ${namesOf(fits)}`);
}

/**
 * The index with an entry under a name, which it takes from whatever had it. Without a name the entry is kept beside
 * the others, once. All else stays as it was written.
 * @throws {StoreError} BadName
 */
export function withEntry(index: LayoutIndex, entry: Descriptor, name: string | null): LayoutIndex {
  if (name !== null && !NAME.test(name))
    throw new StoreError("BadName", `${JSON.stringify(name.slice(0, 80))} is no name of an image in a layout`);
  const same = index.entries.find(({ descriptor }) => descriptor.digest === entry.digest);
  if (name === null && same !== undefined) return index;
  const others = index.entries.filter(
    ({ descriptor }) => (name === null || nameOf(descriptor) !== name) && !isUnnamed(descriptor, entry.digest),
  );
  return { ...index, entries: [...others, newEntry(entry, name, same?.written ?? {})] };
}

/** Annotations belong to the name. What else another entry says of the same content is true under any. */
function newEntry(entry: Descriptor, name: string | null, known: IndexEntry["written"]): IndexEntry {
  const { annotations = {}, ...own } = entry;
  const { annotations: _, ...other } = known;
  const { [NAME_ANNOTATION]: __, ...kept } = annotations;
  const all = { ...kept, ...(name === null ? {} : { [NAME_ANNOTATION]: name }) };
  const said = Object.keys(all).length > 0 ? { annotations: all } : {};
  // Of a platform we read two fields, the other entry may have them all.
  const platform = other["platform"] === undefined ? {} : { platform: other["platform"] };
  return { descriptor: { ...own, ...said }, written: { ...other, ...own, ...platform, ...said } };
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

function namesOf(images: readonly Descriptor[]): string {
  const names = [...new Set(images.map(entry => nameOf(entry) ?? entry.digest))];
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
