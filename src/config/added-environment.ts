/**
 * By these, other code runs in the fetcher or another plan, or connections are trusted that should not be: nobody may add
 * them, whatever the operator allows.
 */
export const NEVER_ADDED = /^(NODE_.*|OPENSSL_.*|SSL_CERT_.*|LD_.*|GLIBC_.*|WASMOUNT_.*)$/;

/** Whether a variable of the fetcher's environment is one that the operator lets other webhooks add. */
export function mayBeAdded(name: string, allowed: readonly string[]): boolean {
  return allowed.includes(name) && !NEVER_ADDED.test(name);
}
