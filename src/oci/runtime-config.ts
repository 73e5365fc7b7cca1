import { isRecord } from "./descriptor.ts";
import { RegistryError } from "./error.ts";
import { parseObject } from "./json.ts";
import { ROOT_IDS_ANNOTATION } from "./media-types.ts";

const MAX_ROOT_IDS = 64;
const MAX_ROOT_ID = 256;

/**
 * The root ids in a runtime-config.json of wasme, in its order: `config.rootIds` as its code wrote them or
 * `config.root_ids` as its specification spelled them. None where the file has none.
 * @throws {RegistryError} BadManifest
 */
export function rootIds(bytes: Uint8Array): readonly string[] {
  const { config } = parseObject(bytes, "runtime-config.json");
  if (!isRecord(config)) return [];
  return readRootIds(config["rootIds"] ?? config["root_ids"] ?? [], "runtime-config.json: config.rootIds");
}

/**
 * The root ids in our own manifest annotation, a JSON array of texts, for layouts without a runtime config.
 * @throws {RegistryError} BadManifest
 */
export function annotatedRootIds(annotation: string | undefined): readonly string[] {
  if (annotation === undefined) return [];
  try {
    return readRootIds(JSON.parse(annotation), ROOT_IDS_ANNOTATION);
  } catch (cause) {
    throw cause instanceof RegistryError
      ? cause
      : new RegistryError("BadManifest", `${ROOT_IDS_ANNOTATION} is not JSON`);
  }
}

function readRootIds(value: unknown, where: string): readonly string[] {
  const ids: unknown = value;
  const valid =
    Array.isArray(ids) &&
    ids.length <= MAX_ROOT_IDS &&
    ids.every(id => typeof id === "string" && id.length <= MAX_ROOT_ID && !/\p{Cc}/u.test(id));
  if (valid) return ids;
  throw new RegistryError("BadManifest", `${where} is not a list of at most ${MAX_ROOT_IDS} short texts`);
}
