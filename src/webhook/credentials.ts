import { createHash, X509Certificate } from "node:crypto";
import { readFile } from "node:fs/promises";
import { createSecureContext } from "node:tls";
import type { Credentials as Pair } from "../certs/authority.ts";
import { certificateBlocks } from "../certs/pem.ts";
import type { CertificateFiles } from "../config/config.ts";
import { ConfigError } from "../config/error.ts";
import { messageOf } from "../error.ts";

/** A certificate chain with its key, and the authorities of clients, as they were read, and what is said about them. */
export interface Credentials {
  readonly cert: Buffer;
  readonly key: Buffer;
  /** Null where clients need no certificate. */
  readonly clientCa: Buffer | null;
  /** SHA-256 of the leaf (DER), in hex. */
  readonly fingerprint: string;
  readonly notAfter: Date;
}

/** Where credentials come from. What is read is read again and again: it changes while it serves. */
export interface CredentialSource {
  /**
   * The credentials of now; null where there are none yet, and somebody is at work on them.
   * @param now to refuse what has ended or has not begun
   * @throws ConfigError Unusable, naming the setting
   */
  read(now: Date): Promise<Credentials | null>;
  /** Has somebody told when it is worth reading again before long. */
  listen(changed: () => void): void;
  /** Why callers can't be expected to believe what is served, or null while they can. */
  notReady(): string | null;
  /** When the authority ends that signs, where it is known. */
  authorityEnds(): Date | null;
}

/** A file for the authorities of clients, beside any source. */
export interface ClientAuthorities {
  /** Null where clients need no certificate. */
  readonly clientCaFile: string | null;
}

/** Files that somebody else writes and renews. */
export function credentialFiles(files: CertificateFiles & ClientAuthorities): CredentialSource {
  return {
    read: now => readCredentials(files, now),
    listen: () => {},
    notReady: () => null,
    authorityEnds: () => null,
  };
}

/** What a replica signs for itself. */
export interface SelfSigner {
  /** Null while there is none. */
  leaf(): Pair | null;
  listen(changed: () => void): void;
  notReady(): string | null;
  authorityEnds(): Date | null;
}

export function selfMadeCredentials(signer: SelfSigner, { clientCaFile }: ClientAuthorities): CredentialSource {
  return {
    async read(now) {
      const clientCa = await readClientAuthorities(clientCaFile, now);
      const leaf = signer.leaf();
      if (leaf === null) return null;
      const [cert, key] = [Buffer.from(leaf.certificate), Buffer.from(leaf.privateKey)];
      return { cert, key, clientCa, ...described(parse(cert, key, "what this replica signed for itself")) };
    },
    listen: signer.listen,
    notReady: signer.notReady,
    authorityEnds: signer.authorityEnds,
  };
}

/**
 * Reads the serving certificate and its key, and the authorities of clients.
 * @param now to refuse what has ended or has not begun
 * @throws ConfigError Unusable, naming the setting.
 */
export async function readCredentials(files: CertificateFiles & ClientAuthorities, now: Date): Promise<Credentials> {
  const { certFile, keyFile, clientCaFile } = files;
  const [cert, key, clientCa] = await Promise.all([
    read(certFile, "tls.certFile"),
    read(keyFile, "tls.keyFile"),
    readClientAuthorities(clientCaFile, now),
  ]);
  const pair = `tls.certFile ${certFile} and tls.keyFile ${keyFile}`;
  const leaf = parse(cert, key, pair);
  const [notBefore, notAfter] = [new Date(leaf.validFrom), new Date(leaf.validTo)];
  if (now > notAfter) throw unusable(`tls.certFile ${certFile} ended ${notAfter.toISOString()}: renew it`);
  if (now < notBefore) {
    throw unusable(`tls.certFile ${certFile} begins ${notBefore.toISOString()}: is this machine's clock right?`);
  }
  return { cert, key, clientCa, ...described(leaf) };
}

function described(leaf: X509Certificate): Pick<Credentials, "fingerprint" | "notAfter"> {
  return { fingerprint: createHash("sha256").update(leaf.raw).digest("hex"), notAfter: new Date(leaf.validTo) };
}

async function readClientAuthorities(file: string | null, now: Date): Promise<Buffer | null> {
  if (file === null) return null;
  const pem = await read(file, "tls.clientCaFile");
  checkAuthorities(pem, `tls.clientCaFile ${file}`, now);
  return pem;
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

/** OpenSSL passes over what it can't read: a file of nothing would let nobody in, and nobody know why. */
function checkAuthorities(pem: Buffer, where: string, now: Date): void {
  const blocks = certificateBlocks(pem.toString("latin1"));
  const authorities = blocks.map((block, index) => {
    try {
      return new X509Certificate(block);
    } catch (error) {
      throw unusable(`${where}, certificate ${index + 1}: ${messageOf(error)}`, error);
    }
  });
  const [first] = authorities;
  if (first === undefined) throw unusable(`${where} holds no certificate in PEM form`);
  for (const [index, authority] of authorities.entries()) {
    if (!authority.ca) throw unusable(`${where}, certificate ${index + 1} is not an authority's`);
  }
  if (authorities.some(({ validTo }) => now <= new Date(validTo))) return;
  throw unusable(`${where} holds none that is still valid, the first ended ${new Date(first.validTo).toISOString()}`);
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
