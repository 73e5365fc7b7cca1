import { createHash, createPrivateKey, X509Certificate } from "node:crypto";
import { messageOf } from "../error.ts";
import { type Credentials, createAuthority, issueServerCertificate } from "./authority.ts";
import { certificateBlocks } from "./pem.ts";

const DAY_MS = 24 * 60 * 60 * 1000;
/** A bundle is written by whoever may write registrations. Ours has nine certificates at most. */
const BUNDLE_CERTIFICATES = 64;
const BUNDLE_BYTES = 256 * 1024;

/** An authority's certificate. Times in milliseconds since 1970. */
export interface AuthorityCertificate {
  /** SHA-256 of the certificate (DER), in hex. */
  readonly id: string;
  /** One block, as this process writes it, with a line break at its end. */
  readonly pem: string;
  readonly notBefore: number;
  readonly notAfter: number;
}

/** An authority that can sign. */
export interface Authority extends AuthorityCertificate {
  /** PEM. */
  readonly privateKey: string;
}

/** A serving certificate with its key, and the authority that signed it. Times in milliseconds since 1970. */
export interface Leaf extends Credentials {
  readonly issuer: AuthorityCertificate;
  readonly notBefore: number;
  readonly notAfter: number;
}

/** Names that a serving certificate is for: DNS names, and IP addresses. */
export type ServerNames = readonly [string, ...string[]];

/** What the lifecycle does with certificates. Times in milliseconds. */
export interface Certificates {
  createAuthority(lifetimeMs: number, now: number): Promise<Authority>;
  /** A certificate that its authority outlives. */
  issueLeaf(authority: Authority, names: ServerNames, lifetimeMs: number, now: number): Promise<Leaf>;
  /** The authorities in a text of PEM blocks, each once; what is no authority's certificate is passed over. */
  readAuthorities(pem: string): readonly AuthorityCertificate[];
  /** An authority with its key, or why they can't sign, whenever that might be. */
  readAuthority(certificate: string, privateKey: string): Authority | { readonly problem: string };
}

/** X.509 (RFC 5280), RSA. @param commonName of authorities */
export function x509Certificates(commonName: string): Certificates {
  return {
    async createAuthority(lifetimeMs, now) {
      const { certificate, privateKey } = await createAuthority(commonName, lifetimeMs / DAY_MS, new Date(now));
      return { ...readCertificate(new X509Certificate(certificate)), privateKey };
    },
    async issueLeaf(authority, names, lifetimeMs, now) {
      const signer = { certificate: authority.pem, privateKey: authority.privateKey };
      const issued = await issueServerCertificate(signer, names, lifetimeMs / DAY_MS, new Date(now));
      const { notBefore, notAfter } = readCertificate(new X509Certificate(issued.certificate));
      const { privateKey: _, ...issuer } = authority;
      return { ...issued, issuer, notBefore, notAfter };
    },
    readAuthorities,
    readAuthority,
  };
}

function readAuthorities(pem: string): readonly AuthorityCertificate[] {
  const blocks = certificateBlocks(pem.slice(0, BUNDLE_BYTES));
  const found = new Map<string, AuthorityCertificate>();
  for (const block of blocks.slice(0, BUNDLE_CERTIFICATES)) {
    const certificate = parse(block);
    if (!(certificate instanceof X509Certificate) || !certificate.ca) continue;
    const authority = readCertificate(certificate);
    found.set(authority.id, authority);
  }
  return [...found.values()];
}

function readAuthority(text: string, privateKey: string): Authority | { readonly problem: string } {
  const certificate = parse(text);
  if (!(certificate instanceof X509Certificate)) return { problem: `its certificate can't be read: ${certificate}` };
  if (!certificate.ca) return { problem: "its certificate is not an authority's" };
  const { asymmetricKeyType, asymmetricKeyDetails } = certificate.publicKey;
  if (asymmetricKeyType !== "rsa" || (asymmetricKeyDetails?.modulusLength ?? 0) < 2048) {
    return { problem: "its key is not RSA of 2048 bits or more" };
  }
  try {
    if (!certificate.checkPrivateKey(createPrivateKey(privateKey))) return { problem: "its key is another one's" };
  } catch {
    // What the library says of a key may quote it.
    return { problem: "its key can't be read" };
  }
  return { ...readCertificate(certificate), privateKey };
}

function parse(pem: string): X509Certificate | string {
  try {
    return new X509Certificate(pem);
  } catch (error) {
    return messageOf(error);
  }
}

function readCertificate(certificate: X509Certificate): AuthorityCertificate {
  return {
    id: createHash("sha256").update(certificate.raw).digest("hex"),
    pem: certificate.toString(),
    notBefore: certificate.validFromDate.getTime(),
    notAfter: certificate.validToDate.getTime(),
  };
}
