import { setTimeout as sleep } from "node:timers/promises";
import type { Config } from "../config/config.ts";
import { messageOf } from "../error.ts";
import type { Logger } from "../observe/log.ts";
import { type Credentials, readCredentials } from "./credentials.ts";

/**
 * How often the files are read, in milliseconds. Kubernetes itself takes a minute or so to bring a changed Secret into a volume, and a
 * change by symbolic links, as it makes it, is one that file watchers miss.
 */
const EVERY_MS = 5_000;

export interface CertificateReload {
  /** The credentials in use. */
  current(): Credentials;
  stop(): Promise<void>;
}

/**
 * Looks for another certificate in the files from now on, and hands it over. A pair that is no good, or half of a new one
 * beside half of the old one, changes nothing and is told once.
 * @param use puts credentials to use for connections that begin from then on
 */
export function reloadCertificate(
  files: Config["tls"],
  first: Credentials,
  use: (credentials: Credentials) => void,
  log: Logger,
  everyMs = EVERY_MS,
): CertificateReload {
  const ending = new AbortController();
  let current = first;
  let told = "";
  const look = async () => {
    try {
      const found = await readCredentials(files, new Date());
      told = "";
      if (isSame(found, current)) return;
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
  const running = repeatedly(look, everyMs, ending.signal);
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

async function repeatedly(look: () => Promise<void>, everyMs: number, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    await sleep(everyMs, undefined, { signal }).then(look, () => {});
  }
}
