import assert from "node:assert/strict";
import { parseReference, type Reference } from "../../src/oci/reference.ts";
import type { ResolvedTag } from "../../src/oci/tag-resolver.ts";
import { PinStore } from "../../src/pins/pin-store.ts";
import { PIN_SETTINGS, PinnedTags, type PinSettings } from "../../src/pins/pinned-tags.ts";
import { recordName } from "../../src/pins/record.ts";
import { MemoryApiServer } from "./memory-api-server.ts";

export const HOUR = 3_600_000;
export const START = Date.UTC(2026, 0, 1);
export const NAME = "registry.example/filters/a:1";
export const reference = parseReference(NAME);
/** What a registry answers: two digests of one tag that moves. */
export const A = { digest: `sha256:${"a".repeat(64)}` };
export const B = { digest: `sha256:${"b".repeat(64)}` };
/** The pod that asks, and the record of its owner. */
export const pod = { namespace: "shop", owner: "u1", dryRun: false };
export const record = recordName({ namespace: "shop", id: "u1" });

/** A registry whose tags mean what a test says, and move when it says so. */
export class Registry {
  readonly asked: string[] = [];
  /** For whom. */
  readonly namespaces: string[] = [];
  answer: (reference: Reference) => Promise<ResolvedTag> | ResolvedTag;

  constructor(answer: ResolvedTag = A) {
    this.answer = () => answer;
  }

  async resolve(asked: Reference, namespace: string): Promise<ResolvedTag> {
    this.asked.push(asked.tag ?? "");
    this.namespaces.push(namespace);
    return this.answer(asked);
  }
}

/** Replicas of the webhook beside one API server. */
export class Replicas {
  readonly api: MemoryApiServer;
  /** What every clock shows. */
  now = START;

  constructor(api = new MemoryApiServer()) {
    this.api = api;
  }

  /** A replica that has just started. It may take its time, unless a test wants otherwise: machines are busy. */
  start(registry: Registry, settings: Partial<PinSettings> = {}, perShard?: number): PinnedTags {
    const store = new PinStore(this.api, "wasmount-system", perShard);
    const clock = { wall: () => this.now, monotonic: () => this.now };
    const patient = { ...PIN_SETTINGS, deadlineMs: 60_000 };
    return new PinnedTags({ store, resolver: registry, settings: { ...patient, ...settings }, clock });
  }
}

export function problemOf(answer: ResolvedTag): { readonly problem: string; readonly cause: string } {
  if ("digest" in answer) assert.fail(`a problem was expected, not ${answer.digest}`);
  return answer;
}
