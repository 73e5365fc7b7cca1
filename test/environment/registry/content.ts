import { createHash } from "node:crypto";
import { Refusal } from "./answer.ts";

/** A registered algorithm and its hex digits (image-spec, descriptor.md). */
const DIGEST = /^(?:sha256:[a-f0-9]{64}|sha512:[a-f0-9]{128})$/;

export interface StoredManifest {
  readonly bytes: Buffer;
  readonly mediaType: string;
}

/** What a registry may do in one way or another. */
export interface Habits {
  /** Takes manifests whose blobs were never pushed. */
  readonly sparse: boolean;
  /** Referrers on one page. */
  readonly referrersPage: number;
}

/** What one repository holds. */
export class Repository {
  readonly blobs = new Map<string, Buffer>();
  readonly manifests = new Map<string, StoredManifest>();
  readonly tags = new Map<string, string>();
  readonly uploads = new Map<string, Buffer[]>();
  readonly habits: Habits;

  constructor(habits: Habits) {
    this.habits = habits;
  }
}

/** All repositories of a registry, in memory. */
export class Content {
  readonly #repositories = new Map<string, Repository>();
  readonly #habits: Habits;

  constructor(habits: Habits) {
    this.#habits = habits;
  }

  /** The repository of that name, made if need be. */
  open(name: string): Repository {
    const known = this.#repositories.get(name);
    if (known) return known;
    const made = new Repository(this.#habits);
    this.#repositories.set(name, made);
    return made;
  }

  /** The repository of that name. @throws {Refusal} NAME_UNKNOWN */
  existing(name: string): Repository {
    const known = this.#repositories.get(name);
    if (known) return known;
    throw new Refusal("NAME_UNKNOWN", `there is no repository ${name}`);
  }

  repositories(): Iterable<Repository> {
    return this.#repositories.values();
  }
}

/** @throws {Refusal} DIGEST_INVALID */
export function checkDigest(digest: string): string {
  if (DIGEST.test(digest)) return digest;
  throw new Refusal("DIGEST_INVALID", "a digest is sha256 or sha512 with lower-case hex digits");
}

/** The digest of bytes, by the algorithm of another digest. */
export function digestLike(pattern: string, bytes: Buffer): string {
  const [algorithm = "sha256"] = pattern.split(":");
  return `${algorithm}:${createHash(algorithm).update(bytes).digest("hex")}`;
}

/** @throws {Refusal} DIGEST_INVALID where the bytes have another digest */
export function checkContent(digest: string, bytes: Buffer): void {
  const actual = digestLike(checkDigest(digest), bytes);
  if (actual !== digest) throw new Refusal("DIGEST_INVALID", `the content's digest is ${actual}, not ${digest}`);
}
