import type { Duplex } from "node:stream";

/** A cluster as it is seen from a laptop: what checks and verbs ask of an API server. */
export interface ClusterView {
  /**
   * Reads an object. @param path below the cluster's URL @returns null where there is none
   * @throws DiagnosisError RightMissing, NotLoggedIn, Unreachable, Refused
   */
  get<Value>(path: string): Promise<Value | null>;
  /** Reads a collection page by page, so that not all of it is in memory. @throws DiagnosisError as `get`, TooLarge */
  list<Item>(path: string, query?: ListQuery): AsyncIterable<Item>;
  /** Reads text, such as a replica's readiness, whatever the status. @throws DiagnosisError RightMissing, Unreachable */
  text(path: string): Promise<{ readonly status: number; readonly text: string }>;
  /** Writes, and takes any answer. @throws DiagnosisError NotLoggedIn, Unreachable */
  send(method: "POST" | "PUT", path: string, body: unknown): Promise<Answer>;
  /**
   * Opens a connection to a port of a pod, through the API server, or to an address.
   * @throws DiagnosisError Unreachable, RightMissing
   */
  connect(place: PodPort | Address): Promise<Duplex>;
  now(): Date;
}

export interface ListQuery {
  readonly labelSelector?: string;
  /** Asks for nothing but metadata. */
  readonly metadataOnly?: boolean;
}

export interface PodPort {
  readonly namespace: string;
  readonly pod: string;
  readonly port: number;
}

export interface Address {
  readonly host: string;
  readonly port: number;
}

/** An API server's answer to a write. */
export interface Answer {
  readonly status: number;
  /** The object, or a Status where the write was refused. */
  readonly body: unknown;
  /** What a Status says; "" for an object. */
  readonly message: string;
  /** From the headers `Warning`. */
  readonly warnings: readonly string[];
}
