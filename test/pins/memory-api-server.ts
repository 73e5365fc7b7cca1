import type { IncomingMessage } from "node:http";
import { Readable } from "node:stream";
import type { ApiServer, Write } from "../../src/kube/api-server.ts";
import { KubeError } from "../../src/kube/error.ts";

export interface ConfigMap {
  kind: string;
  metadata: {
    name: string;
    resourceVersion: string;
    labels: Record<string, string>;
    annotations: Record<string, string>;
  };
  data: Record<string, string>;
}

export const COLLECTION = "/api/v1/namespaces/wasmount-system/configmaps";

/** As much of an API server as keeps ConfigMaps: versions, conflicts, labels, pages. */
export class MemoryApiServer implements ApiServer {
  readonly objects = new Map<string, ConfigMap>();
  /** Every call so far: "GET <path>", oldest first. */
  readonly calls: string[] = [];
  /** What goes wrong with a call, if anything; also where a test does something in between. */
  disturb: (call: string, signal: AbortSignal) => Promise<void> | void = () => {};
  #version = 0;

  async open(path: string, _accept: string, signal: AbortSignal): Promise<IncomingMessage> {
    await this.#called(`GET ${path}`, signal);
    const url = new URL(path, "http://api");
    const name = url.pathname.slice(COLLECTION.length + 1);
    return Readable.from([
      Buffer.from(JSON.stringify(name ? this.existing(name) : this.#list(url.searchParams))),
    ]) as unknown as IncomingMessage;
  }

  async write({ method, path, body }: Write, signal: AbortSignal): Promise<unknown> {
    await this.#called(`${method} ${path}`, signal);
    const name = new URL(path, "http://api").pathname.slice(COLLECTION.length + 1);
    if (method === "DELETE") return this.#delete(name, body as { preconditions?: { resourceVersion?: string } });
    const object = structuredClone(body) as ConfigMap;
    const before = this.objects.get(object.metadata.name);
    if (method === "POST" && before) throw new KubeError("Conflict", "HTTP 409: it exists");
    if (method === "PUT") matched(this.existing(name), object.metadata.resourceVersion);
    this.put(object);
    return object;
  }

  /** Stores an object as its next version. */
  put(object: ConfigMap): void {
    this.#version += 1;
    object.metadata.resourceVersion = String(this.#version);
    this.objects.set(object.metadata.name, structuredClone(object));
  }

  /** @throws KubeError NotFound */
  existing(name: string): ConfigMap {
    const object = this.objects.get(name);
    if (!object) throw new KubeError("NotFound", "HTTP 404");
    return structuredClone(object);
  }

  /** Calls that change something. */
  get writes(): readonly string[] {
    return this.calls.filter(call => !call.startsWith("GET "));
  }

  async #called(call: string, signal: AbortSignal): Promise<void> {
    this.calls.push(call);
    await this.disturb(call, signal);
    if (signal.aborted) throw new KubeError("Unreachable", String(signal.reason));
  }

  #delete(name: string, { preconditions }: { preconditions?: { resourceVersion?: string } }): object {
    matched(this.existing(name), preconditions?.resourceVersion);
    this.objects.delete(name);
    return { kind: "Status" };
  }

  #list(query: URLSearchParams): object {
    const wanted = (query.get("labelSelector") ?? "").split(",").map(pair => pair.split("="));
    const selected = [...this.objects.values()]
      .filter(({ metadata }) => wanted.every(([key = "", value]) => metadata.labels[key] === value))
      .sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
    const after = query.get("continue") ?? "";
    const rest = selected.filter(({ metadata }) => metadata.name > after);
    const items = rest.slice(0, Number(query.get("limit")));
    const next = items.length < rest.length ? items.at(-1)?.metadata.name : "";
    const list = { kind: "PartialObjectMetadataList", metadata: { resourceVersion: "1", continue: next } };
    return { ...list, items: items.map(({ metadata }) => ({ metadata })) };
  }
}

/** Without a version a write means whichever there is. @throws KubeError Conflict */
function matched({ metadata }: ConfigMap, version: string | undefined): void {
  if (version !== undefined && version !== metadata.resourceVersion)
    throw new KubeError("Conflict", "HTTP 409: another version");
}
