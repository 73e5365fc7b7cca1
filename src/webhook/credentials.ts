import { createHash, X509Certificate } from "node:crypto";
import { readFile } from "node:fs/promises";
import { createSecureContext } from "node:tls";
import type { Config } from "../config/config.ts";
import { ConfigError } from "../config/error.ts";
import { messageOf } from "../error.ts";

/** A certificate chain with its key, as they were read, and what is said about them. */
export interface Credentials {
  readonly cert: Buffer;
  readonly key: Buffer;
  /** SHA-256 of the leaf (DER), in hex. */
  readonly fingerprint: string;
  readonly notAfter: Date;
}

/**
 * Reads the serving certificate and its key.
 * @param now to refuse what has ended or has not begun
 * @throws ConfigError Unusable, naming the setting.
 */
export async function readCredentials({ certFile, keyFile }: Config["tls"], now: Date): Promise<Credentials> {
  const [cert, key] = await Promise.all([read(certFile, "tls.certFile"), read(keyFile, "tls.keyFile")]);
  const pair = `tls.certFile ${certFile} and tls.keyFile ${keyFile}`;
  const leaf = parse(cert, key, pair);
  const [notBefore, notAfter] = [new Date(leaf.validFrom), new Date(leaf.validTo)];
  if (now > notAfter) throw unusable(`tls.certFile ${certFile} ended ${notAfter.toISOString()}: renew it`);
  if (now < notBefore) {
    throw unusable(`tls.certFile ${certFile} begins ${notBefore.toISOString()}: is this machine's clock right?`);
  }
  return { cert, key, fingerprint: createHash("sha256").update(leaf.raw).digest("hex"), notAfter };
}

/** Throws where the certificate is none, or the key is another one's. */
function parse(cert: Buffer, key: Buffer, pair: string): X509Certificate {
  try {
    createSecureContext({ cert, key });
    return new X509Certificate(cert);
  } catch (error) {
    throw unusable(`${pair} are no certificate with its key: ${messageOf(error)}`, error);
  }
}

async function read(path: string, setting: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (error) {
    throw unusable(`can't read ${setting}: ${messageOf(error)}`, error);
  }
}

function unusable(message: string, cause?: unknown): ConfigError {
  return new ConfigError("Unusable", message, { cause });
}
