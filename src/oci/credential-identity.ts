import { createHmac, randomBytes } from "node:crypto";
import type { Credential } from "./credentials.ts";

/**
 * Names credentials in keys of caches: equal for equal ones, and no way to guess a password offline, should the keys
 * ever be dumped, since the HMAC's key is this process's own.
 */
export class CredentialIdentity {
  #key: Buffer | null = null;

  /** @param credentials in their order, which counts; none are anonymous, which is an identity like any other */
  of(credentials: readonly Credential[]): string {
    if (credentials.length === 0) return "anonymous";
    this.#key ??= randomBytes(32);
    // As pairs: members that stand in another order are no other credential.
    const pairs = credentials.map(credential => Object.entries(credential).sort(([a], [b]) => (a < b ? -1 : 1)));
    return createHmac("sha256", this.#key).update(JSON.stringify(pairs)).digest("base64");
  }
}
