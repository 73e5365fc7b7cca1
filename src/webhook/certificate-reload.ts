import { setTimeout as sleep } from "node:timers/promises";
import { messageOf } from "../error.ts";
import type { Logger } from "../observe/log.ts";
import type { CredentialSource, Credentials } from "./credentials.ts";

/**
 * How often a source is read, in milliseconds. Kubernetes itself takes a minute or so to bring a changed Secret into a volume, and a
 * change by symbolic links, as it makes it, is one that file watchers miss.
 */
const EVERY_MS = 5_000;

export interface CertificateReload {
  /** The credentials in use; null where there were none yet. */
  current(): Credentials | null;
  stop(): Promise<void>;
}

/**
 * Looks for other credentials from now on, and hands them over. A pair that is no good, or half of a new one
 * beside half of the old one, changes nothing and is told once.
 * @param use puts credentials to use for connections that begin from then on
 */
export function reloadCertificate(
  source: Pick<CredentialSource, "read" | "listen">,
  first: Credentials | null,
  use: (credentials: Credentials) => void,
  log: Logger,
  everyMs = EVERY_MS,
): CertificateReload {
  const ending = new AbortController();
  let woken = new AbortController();
  let current = first;
  let told = "";
  const look = async () => {
    try {
      const found = await source.read(new Date());
      told = "";
      if (found === null || (current !== null && isSame(found, current))) return;
      use(found);
      current = found;
      log.info({ fingerprint: found.fingerprint, notAfter: found.notAfter }, "serving another certificate");
    } catch (error) {
      const problem = messageOf(error);
      if (problem !== told)
        log.error({ error: problem }, "can't use the certificate in the files, serving the old one");
      told = problem;
    }
  };
  const run = async () => {
    while (!ending.signal.aborted) {
      woken = new AbortController();
      await look();
      const signal = AbortSignal.any([ending.signal, woken.signal]);
      await sleep(everyMs, undefined, { signal }).catch(() => {});
    }
  };
  source.listen(() => woken.abort());
  const running = run();
  return {
    current: () => current,
    async stop() {
      ending.abort();
      await running;
    },
  };
}

function isSame(one: Credentials, other: Credentials): boolean {
  const pairs = [
    [one.cert, other.cert],
    [one.key, other.key],
    [one.clientCa, other.clientCa],
  ] as const;
  return pairs.every(([a, b]) => a === b || (a !== null && b !== null && a.equals(b)));
}
