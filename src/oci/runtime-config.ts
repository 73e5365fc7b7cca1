import { isRecord } from "./descriptor.ts";
import { RegistryError } from "./error.ts";
import { parseObject } from "./json.ts";
import { ROOT_IDS_ANNOTATION } from "./media-types.ts";

/** What a runtime-config.json of wasme says: for which ABIs a module says it is, and where it starts. */
export interface RuntimeConfig {
  /** "envoy_proxy" in all that were ever written; null where the file doesn't say. */
  readonly type: string | null;
  /** Labels as the image's author chose them: a claim, which the module itself need not bear out. */
  readonly abiVersions: readonly string[];
  readonly rootIds: readonly string[];
}

/** What to write: a member that is left out isn't there. */
export interface RuntimeConfigContent {
  readonly type?: string;
  /** A text alone is written as `abiVersion`, the spelling of the first images. */
  readonly abiVersions?: readonly string[] | string;
  readonly rootIds?: readonly string[];
}

const MAX_ITEMS = 64;
const MAX_LENGTH = 256;
const NAME = "runtime-config.json";

/**
 * Reads a runtime-config.json in each of its spellings: `abiVersions` and `rootIds` as wasme's code wrote them,
 * `abi_versions` and `root_ids` as its specification had them, and one ABI as a text.
 * @throws {RegistryError} BadManifest, also where two spellings stand side by side: which one counts is any reader's guess
 */
export function readRuntimeConfig(bytes: Uint8Array): RuntimeConfig {
  const document = parseObject(bytes, NAME);
  const { type = null, config } = document;
  if (type !== null && !isShortText(type)) throw bad(`${NAME}: type is not a short text`);
  const abis = spelled(document, ["abiVersions", "abi_versions", "abiVersion", "abi_version"]);
  const ids = isRecord(config) ? spelled(config, ["rootIds", "root_ids"]) : undefined;
  return {
    type,
    abiVersions: typeof abis === "string" ? texts([abis], `${NAME}: abiVersion`) : texts(abis, `${NAME}: abiVersions`),
    rootIds: texts(ids, `${NAME}: config.rootIds`),
  };
}

/** The bytes of a runtime-config.json: compact, members in wasme's order, so that equal content has an equal digest. */
export function writeRuntimeConfig({ type, abiVersions, rootIds }: RuntimeConfigContent): Buffer {
  const abis = typeof abiVersions === "string" ? { abiVersion: abiVersions } : { abiVersions };
  // JSON.stringify leaves out what is undefined.
  return Buffer.from(JSON.stringify({ type, ...abis, config: rootIds && { rootIds } }));
}

/**
 * The root ids in our own manifest annotation, a JSON array of texts, for layouts without a runtime config.
 * @throws {RegistryError} BadManifest
 */
export function annotatedRootIds(annotation: string | undefined): readonly string[] {
  if (annotation === undefined) return [];
  try {
    return texts(JSON.parse(annotation), ROOT_IDS_ANNOTATION);
  } catch (cause) {
    throw cause instanceof RegistryError ? cause : bad(`${ROOT_IDS_ANNOTATION} is not JSON`);
  }
}

function spelled(record: Readonly<Record<string, unknown>>, spellings: readonly string[]): unknown {
  const [found, second] = spellings.filter(key => record[key] !== undefined && record[key] !== null);
  if (second !== undefined) throw bad(`${NAME} has both ${found} and ${second}`);
  return found === undefined ? undefined : record[found];
}

function texts(value: unknown, where: string): readonly string[] {
  if (value === undefined) return [];
  if (Array.isArray(value) && value.length <= MAX_ITEMS && value.every(isShortText)) return value;
  throw bad(`${where} is not a list of at most ${MAX_ITEMS} short texts`);
}

function isShortText(value: unknown): value is string {
  return typeof value === "string" && value.length <= MAX_LENGTH && !/\p{Cc}/u.test(value);
}

function bad(message: string): RegistryError {
  return new RegistryError("BadManifest", message);
}
