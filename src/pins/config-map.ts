import { messageOf } from "../error.ts";
import { isDigest } from "../oci/digest.ts";
import { PinError } from "./error.ts";
import {
  PIN_ANNOTATIONS,
  PIN_LABELS,
  PINS_PER_OWNER,
  type Pin,
  type PinOwner,
  type PinRecord,
  pinKey,
  recordName,
  shardOf,
} from "./record.ts";

/** A reference has at most 650 characters, the rest of a pin 150. */
const PIN_CHARACTERS = 1_024;

/** The ConfigMap (core/v1) that keeps a record. @param namespace the operator's */
export function recordToConfigMap({ owner, used, pins, version }: PinRecord, namespace: string): object {
  return {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: {
      name: recordName(owner),
      namespace,
      ...(version !== null && { resourceVersion: version }),
      labels: {
        [PIN_LABELS.record]: "true",
        [PIN_LABELS.namespace]: owner.namespace,
        [PIN_LABELS.shard]: shardOf(owner),
      },
      annotations: { [PIN_ANNOTATIONS.owner]: owner.id, [PIN_ANNOTATIONS.used]: new Date(used).toISOString() },
    },
    data: Object.fromEntries([...pins].map(([key, pin]) => [key, JSON.stringify(pin)])),
  };
}

/**
 * Reads an owner's record back. What is not exactly a record is refused whole: a digest from it would decide what runs.
 * @param value the ConfigMap, as the API server answered it
 * @param where how messages call it
 * @throws PinError Corrupt, Foreign
 */
export function recordFromConfigMap(value: unknown, owner: PinOwner, where: string): PinRecord {
  const { metadata, data } = membersOf(value, where, "it");
  const { resourceVersion, ...marks } = membersOf(metadata, where, "its metadata");
  const labels = membersOf(marks.labels ?? {}, where, "labels");
  const annotations = membersOf(marks.annotations ?? {}, where, "annotations");
  const foreign =
    (labels[PIN_LABELS.record] !== "true" && PIN_LABELS.record) ||
    (labels[PIN_LABELS.namespace] !== owner.namespace && PIN_LABELS.namespace) ||
    (annotations[PIN_ANNOTATIONS.owner] !== owner.id && PIN_ANNOTATIONS.owner);
  if (foreign) throw new PinError("Foreign", `${where} is not the record of this owner: ${foreign} differs`);
  if (typeof resourceVersion !== "string" || resourceVersion === "") throw corrupt(where, "it has no resourceVersion");
  const used = timeOf(annotations[PIN_ANNOTATIONS.used]);
  if (used === null) throw corrupt(where, `${PIN_ANNOTATIONS.used} is no time`);
  const entries = Object.entries(membersOf(data ?? {}, where, "its data"));
  if (entries.length > PINS_PER_OWNER) throw corrupt(where, `it has more than ${PINS_PER_OWNER} pins`);
  const pins = new Map(entries.map(([key, text]) => [key, readPin(key, text, where)]));
  return { owner, used, pins, version: resourceVersion };
}

/** Milliseconds since 1970 of an ISO 8601 time; null for anything else. */
export function timeOf(value: unknown): number | null {
  const time = typeof value === "string" && /^\d{4}-\d\d-\d\dT/.test(value) ? Date.parse(value) : Number.NaN;
  return Number.isNaN(time) ? null : time;
}

function readPin(key: string, text: unknown, where: string): Pin {
  const what = `data ${key.slice(0, 64)}`;
  if (typeof text !== "string" || text.length > PIN_CHARACTERS) throw corrupt(where, `${what} is no pin's text`);
  const { reference, digest, pinned } = membersOf(parse(text, what, where), where, what);
  if (typeof reference !== "string" || pinKey(reference) !== key) throw corrupt(where, `${what} has another reference`);
  if (!isDigest(digest)) throw corrupt(where, `${what} has no sha256 digest`);
  if (typeof pinned !== "string" || timeOf(pinned) === null) throw corrupt(where, `${what} has no time`);
  return { reference, digest, pinned };
}

function parse(text: string, what: string, where: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw corrupt(where, `${what} is not JSON: ${messageOf(error)}`);
  }
}

type Members = Readonly<Record<string, unknown>> & {
  readonly [member in
    | "metadata"
    | "data"
    | "resourceVersion"
    | "labels"
    | "annotations"
    | "reference"
    | "digest"
    | "pinned"]?: unknown;
};

function membersOf(value: unknown, where: string, what: string): Members {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Members;
  throw corrupt(where, `${what} is no object`);
}

function corrupt(where: string, why: string): PinError {
  return new PinError("Corrupt", `${where} can't be read: ${why}. Once it is deleted, its tags are resolved anew`);
}
