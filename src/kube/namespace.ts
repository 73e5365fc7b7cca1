/** The parts of a Namespace that admission reads. */
export interface Namespace {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

/** Where the webhook reads namespaces from. */
export interface NamespaceSource {
  /** The namespace, or null where there is none of that name. */
  get(name: string): Promise<Namespace | null>;
  /** Why namespaces can't be read now, or null while they can: the replica's readiness. */
  notReady(): string | null;
  close(): Promise<void>;
}
