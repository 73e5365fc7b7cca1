import type { ApiServer, Write } from "./api-server.ts";
import { jsonOf } from "./body.ts";
import { KubeError } from "./error.ts";
import { members, text, type Watched } from "./watched-kind.ts";

/** A Secret holds at most 1 MiB, a third more in base64. */
const SECRET_BYTES = 4 * 1024 * 1024;

/** A Secret as it was read. Whoever may write it may write anything: what is no text in base64 is left out. */
export interface Secret extends Watched {
  readonly annotations: Readonly<Record<string, string>>;
  /** Decoded. */
  readonly data: Readonly<Record<string, string>>;
  /** Its metadata as they came, which a replacement keeps. */
  readonly metadata: Readonly<Record<string, unknown>>;
  /** Can't be changed after creation. */
  readonly type: string;
}

/** What is to stand in a Secret. */
export interface SecretContent {
  readonly data: Readonly<Record<string, string>>;
  /** Merged into those there are; null removes one. */
  readonly annotations: Readonly<Record<string, string | null>>;
}

/** One Secret of the operator's own namespace that replicas make and change themselves, without a leader. */
export interface SecretStore {
  /** How messages call it. */
  readonly name: string;
  /** As it is now, never from an API server's memory; null where there is none. @throws KubeError */
  read(signal: AbortSignal): Promise<Secret | null>;
  /**
   * Creates it, or replaces exactly the version that was read.
   * @returns whether it is written: not where somebody else wrote meanwhile
   * @throws KubeError
   */
  write(before: Secret | null, content: SecretContent, signal: AbortSignal): Promise<boolean>;
}

/** @param labels of a Secret that is created */
export function secretStore(
  server: ApiServer,
  namespace: string,
  name: string,
  labels: Readonly<Record<string, string>>,
): SecretStore {
  const collection = secretsPath(namespace);
  const path = `${collection}/${encodeURIComponent(name)}`;
  return {
    name: `Secret ${name} in namespace ${namespace}`,
    async read(signal) {
      try {
        return readSecret(await jsonOf(await server.open(path, "application/json", signal), SECRET_BYTES));
      } catch (error) {
        if (error instanceof KubeError && error.code === "NotFound") return null;
        throw error;
      }
    },
    async write(before, content, signal) {
      const body = secretObject({ name, namespace, labels }, before, content);
      const query = "fieldManager=wasmount-webhook";
      try {
        const write: Pick<Write, "method" | "path"> =
          before === null
            ? { method: "POST", path: `${collection}?${query}` }
            : { method: "PUT", path: `${path}?${query}` };
        await server.write({ ...write, body }, signal);
        return true;
      } catch (error) {
        if (isOutrun(error, before)) return false;
        throw error;
      }
    },
  };
}

function secretObject(created: object, before: Secret | null, { data, annotations }: SecretContent): object {
  const encoded = Object.entries(data).map(([key, value]) => [key, Buffer.from(value).toString("base64")]);
  return {
    apiVersion: "v1",
    kind: "Secret",
    metadata: { ...(before?.metadata ?? created), annotations: merged(before?.annotations ?? {}, annotations) },
    type: before?.type ?? "Opaque",
    data: Object.fromEntries(encoded),
  };
}

/** Whether somebody else wrote first: it is there by now, another version, or gone. */
function isOutrun(error: unknown, before: Secret | null): boolean {
  if (!(error instanceof KubeError)) return false;
  return error.code === "Conflict" || (before !== null && error.code === "NotFound");
}

/** Where the Secrets of a namespace are, below the cluster's URL. */
export function secretsPath(namespace: string): string {
  return `/api/v1/namespaces/${encodeURIComponent(namespace)}/secrets`;
}

/** @throws KubeError Malformed */
export function readSecret(value: unknown): Secret {
  const object = members(value, "a Secret");
  const metadata = members(object.metadata, "a Secret's metadata");
  return {
    name: text(metadata.name, "a Secret's name"),
    namespace: text(metadata.namespace, "a Secret's namespace"),
    resourceVersion: text(metadata.resourceVersion, "a Secret's resourceVersion"),
    annotations: texts(metadata.annotations, value => value),
    data: texts(object.data, value => Buffer.from(value, "base64").toString("utf8")),
    metadata,
    type: typeof object.type === "string" ? object.type : "Opaque",
  };
}

function texts(value: unknown, read: (text: string) => string): Readonly<Record<string, string>> {
  if (typeof value !== "object" || value === null) return {};
  const entries = Object.entries(value).filter(([, written]) => typeof written === "string");
  return Object.fromEntries(entries.map(([key, written]) => [key, read(written)]));
}

function merged(
  before: Readonly<Record<string, string>>,
  changes: Readonly<Record<string, string | null>>,
): Readonly<Record<string, string>> {
  const entries = Object.entries<string | null>({ ...before, ...changes });
  return Object.fromEntries(entries.filter((entry): entry is [string, string] => entry[1] !== null));
}
