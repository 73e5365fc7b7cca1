import { generateKeyPairSync } from "node:crypto";
import { withDeadline } from "../kube/answer-deadline.ts";
import type { ApiServer } from "../kube/api-server.ts";
import { CollectionWatch, doubtAbout, type Interruption, WATCH_SETTINGS } from "../kube/collection-watch.ts";
import { LEVEL_LOOP_SETTINGS, LevelLoop } from "../kube/level-loop.ts";
import { readSecret, type Secret, type SecretStore, secretsPath } from "../kube/secret.ts";
import type { WatchedKind } from "../kube/watched-kind.ts";
import { PlanError } from "./error.ts";
import {
  KEY_TERMS,
  type KeyChange,
  type KeySet,
  keySetData,
  nextKeySet,
  planKey,
  readKeySet,
  signerOf,
  signingKey,
  verificationKeys,
} from "./key-set.ts";
import type { CurrentKeys, PlanKeyring } from "./keyring.ts";
import type { PlanKeys } from "./signature.ts";

export interface KeptKeysDependencies {
  readonly server: ApiServer;
  readonly namespace: string;
  /** Name of the Secret. */
  readonly name: string;
  readonly secrets: SecretStore;
  readonly interrupted: (reason: Interruption) => void;
  /** Told of what was written, and of what could not be. */
  readonly changed: (change: KeyChange) => void;
  readonly failed: (error: unknown) => void;
  /** Told whenever nothing failed. */
  readonly recovered: () => void;
  readonly wall: () => number;
  readonly random: () => number;
  readonly sleep: (milliseconds: number, signal: AbortSignal) => Promise<void>;
}

export interface KeptKeys extends PlanKeyring {
  readonly synced: () => boolean;
  /** Seconds since the API server last confirmed what is held; null where it never did. */
  readonly contactSeconds: () => number | null;
  close(): Promise<void>;
}

/** What one call of the API server may take, and for how long what is held counts as known. Milliseconds. */
const CALL_MS = 10_000;
const STALE_MS = 60_000;

/** Asks for another key, whatever its value. */
const ROTATE = "wasmount.dev/rotate";

/** Secrets of all members. */
const wholeSecrets: WatchedKind<Secret> = {
  list: "SecretList",
  accept: { list: "application/json", watch: "application/json" },
  read: readSecret,
};

/**
 * Plan-signing keys in a Secret that replicas make and renew themselves, held current by a watch. What is held goes on to
 * count where the Secret is gone or damaged, until it is put back.
 */
export function keptKeys(given: KeptKeysDependencies): KeptKeys {
  const { server, namespace, name, secrets, wall, random, sleep } = given;
  let held: KeySet | null = null;
  let keys: PlanKeys = new Map();
  let current: CurrentKeys | null = null;
  let loop: LevelLoop | null = null;
  const watch = new CollectionWatch<Secret>({
    server,
    path: secretsPath(namespace),
    fieldSelector: `metadata.name=${name}`,
    kind: wholeSecrets,
    changed(_before, after) {
      const found = after === undefined ? null : keySetOf(after);
      if (found !== null && found.keys.length > 0) {
        held = found;
        keys = verificationKeys(found.keys);
      }
      loop?.wake();
    },
    settings: WATCH_SETTINGS,
    interrupted: given.interrupted,
    now: () => performance.now(),
    random,
    sleep,
  });
  loop = new LevelLoop({
    async run(signal) {
      const now = wall();
      const secret = await withDeadline(signal, CALL_MS, secrets.read);
      const found = secret === null ? null : keySetOf(secret);
      const change = nextKeySet(found, held, now, () => planKey(generateKeyPairSync("ed25519").privateKey, now));
      if (change === null) {
        given.recovered();
        return "there";
      }
      const content = { data: keySetData(change.next), annotations: { [ROTATE]: null } };
      const isWritten = await withDeadline(signal, CALL_MS, stop => secrets.write(secret, content, stop));
      if (isWritten) given.changed(change.change);
      return "moving";
    },
    failed: given.failed,
    settings: LEVEL_LOOP_SETTINGS,
    random,
    sleep,
  });
  return {
    current() {
      const signer = held && signingKey(held.keys, wall(), KEY_TERMS);
      if (held === null || signer === null) throw new PlanError("NoKeys", `there are no keys in ${secrets.name} yet`);
      if (current?.signer?.keyId !== signer.keyId || current.keys !== keys)
        current = { signer: signerOf(signer), keys };
      return current;
    },
    notReady() {
      if (held === null) return `there are no plan-signing keys in ${secrets.name} yet`;
      return doubtAbout("plan-signing keys", watch, STALE_MS);
    },
    synced: () => held !== null,
    contactSeconds: () => (watch.contactAge === null ? null : watch.contactAge / 1000),
    async close() {
      await Promise.all([loop?.close(), watch.close()]);
    },
  };
}

function keySetOf({ data, annotations }: Secret): KeySet {
  return readKeySet(data, annotations[ROTATE] !== undefined);
}
