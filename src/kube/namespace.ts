import type { Deadline } from "./deadline.ts";
import type { ContainerLimit } from "./limit-range.ts";

/** The parts of a Namespace that admission reads, and what its LimitRanges say. */
export interface Namespace {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly limits?: readonly ContainerLimit[];
}

/** Where the webhook reads namespaces from. Without a deadline, a read has only its own bound. */
export interface NamespaceSource {
  /** The namespace, or null where there is none of that name. */
  get(name: string, deadline?: Deadline): Promise<Namespace | null>;
  /** The same past any cache, for a namespace about which the cache seems to be behind. */
  getNow(name: string, deadline?: Deadline): Promise<Namespace | null>;
  /** Why namespaces can't be read now, or null while they can: the replica's readiness. */
  notReady(): string | null;
}
