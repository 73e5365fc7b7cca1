import { isDigest } from "./digest.ts";
import { RegistryError } from "./error.ts";

/** A pointer to content (image-spec, descriptor.md). `size` in bytes. */
export interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly artifactType?: string;
  readonly platform?: Platform;
}

export interface Platform {
  readonly architecture: string;
  readonly os: string;
}

// RFC 6838 section 4.2, as image-spec demands of media types.
const NAME = "[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}";
const MEDIA_TYPE = new RegExp(`^${NAME}/${NAME}$`);
const MAX_ANNOTATIONS = 256;

/** Whether a value is a media type without parameters. */
export function isMediaType(value: unknown): value is string {
  return typeof value === "string" && MEDIA_TYPE.test(value);
}

/** Whether a value is a JSON object: no array, no null. */
export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/**
 * A descriptor of a manifest, checked before any of it is used.
 * @param where how messages call it, such as "layers[0]"
 * @throws {RegistryError} BadManifest
 */
export function readDescriptor(value: unknown, where: string): Descriptor {
  if (!isRecord(value)) throw bad(where, "is not an object");
  const { mediaType, digest, size, annotations, artifactType, platform } = value;
  if (!isMediaType(mediaType)) throw bad(`${where}.mediaType`, "is not a media type");
  if (!isDigest(digest)) throw bad(`${where}.digest`, 'is not "sha256:" and 64 lower-case hex digits');
  if (typeof size !== "number" || !Number.isSafeInteger(size) || size < 0) {
    throw bad(`${where}.size`, "is not a whole number of bytes");
  }
  if (artifactType !== undefined && !isMediaType(artifactType)) throw bad(`${where}.artifactType`, "is no media type");
  return {
    mediaType,
    digest,
    size,
    ...(annotations === undefined ? {} : { annotations: readAnnotations(annotations, `${where}.annotations`) }),
    ...(artifactType === undefined ? {} : { artifactType }),
    ...(platform === undefined ? {} : { platform: readPlatform(platform, `${where}.platform`) }),
  };
}

/** @throws {RegistryError} BadManifest */
export function readAnnotations(value: unknown, where: string): Readonly<Record<string, string>> {
  // `null` is what Go writes for an empty map without omitempty.
  if (value === null) return {};
  if (!isRecord(value)) throw bad(where, "is not an object");
  const entries = Object.entries(value);
  if (entries.length > MAX_ANNOTATIONS) throw bad(where, `has more than ${MAX_ANNOTATIONS} entries`);
  for (const [key, text] of entries) {
    if (typeof text !== "string") throw bad(where, `has a value that is not text, at key ${quoted(key)}`);
  }
  // A map without prototype: "constructor" and "__proto__" are annotation keys like any other.
  return Object.assign(Object.create(null), Object.fromEntries(entries));
}

function readPlatform(value: unknown, where: string): Platform {
  if (!isRecord(value)) throw bad(where, "is not an object");
  const { architecture = "", os = "" } = value;
  if (typeof architecture !== "string" || typeof os !== "string") throw bad(where, "has values that are not text");
  return { architecture, os };
}

/** A manifest's own text in a message: short, and only characters that can't disturb a terminal. */
export function quoted(text: string, most = 80): string {
  const shown = text.length > most ? `${text.slice(0, most)}…` : text;
  return JSON.stringify(shown.replace(/[^\x20-\x7e…]/g, "?"));
}

function bad(where: string, what: string): RegistryError {
  return new RegistryError("BadManifest", `${where} ${what}`);
}
