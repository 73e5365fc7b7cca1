import type { PlanKeys, PlanSigner } from "./signature.ts";

/** The keys of one moment. */
export interface CurrentKeys {
  /** Signs plans; null where none does. */
  readonly signer: PlanSigner | null;
  /** All whose signatures count, the signer's among them. */
  readonly keys: PlanKeys;
}

/** Plan-signing keys, wherever they come from. */
export interface PlanKeyring {
  /** One review asks once, so that it sees the keys of one moment. The same object while nothing was said about the keys. @throws PlanError NoKeys where they are not known yet */
  current(): CurrentKeys;
  /** Why they can't be told now, or null while they can: a part of the replica's readiness. */
  notReady(): string | null;
}

/** Keys that never change. */
export function fixedKeys(keys: CurrentKeys): PlanKeyring {
  return { current: () => keys, notReady: () => null };
}
