import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPair,
  type KeyObject,
  randomBytes,
  sign,
} from "node:crypto";
import { isIP } from "node:net";
import { promisify } from "node:util";
import forge from "node-forge";

/** A certificate with its private key, both PEM. */
export interface Credentials {
  readonly certificate: string;
  readonly privateKey: string;
}

/** Of authorities: RSA, since node-forge signs with nothing else. */
const KEY_BITS = 2048;
/** Of servers, since RSA would nearly double the time of a handshake: P-256. */
const CURVE = "prime256v1";
const DAY_MS = 24 * 60 * 60 * 1000;
/** Clocks of API servers and ours may differ by this much. */
const SKEW_MS = 5 * 60 * 1000;

const makeKeyPair = promisify(generateKeyPair);

/** Makes a self-signed certificate authority (RFC 5280: CA, keyCertSign). */
export async function createAuthority(commonName: string, days: number, now: Date): Promise<Credentials> {
  const keys = await newKeys();
  const certificate = blank(keys.public, days, now);
  const subject = [{ name: "commonName", value: commonName }];
  certificate.setSubject(subject);
  certificate.setIssuer(subject);
  certificate.setExtensions([
    { name: "basicConstraints", cA: true, pathLenConstraint: 0, critical: true },
    { name: "keyUsage", keyCertSign: true, cRLSign: true, critical: true },
    { name: "subjectKeyIdentifier" },
  ]);
  certificate.sign(keys.private, forge.md.sha256.create());
  return { certificate: pemOf(certificate), privateKey: keys.pem };
}

/**
 * Issues a server certificate for DNS names and IP addresses, signed by an authority of ours, which it does not outlive.
 */
export async function issueServerCertificate(
  authority: Credentials,
  names: readonly [string, ...string[]],
  days: number,
  now: Date,
): Promise<Credentials> {
  const issuer = forge.pki.certificateFromPem(authority.certificate);
  const keys = await makeKeyPair("ec", { namedCurve: CURVE });
  const publicKey = forge.asn1.fromDer(forge.util.createBuffer(keys.publicKey.export({ type: "spki", format: "der" })));
  const certificate = blank(issuer.publicKey, days, now);
  // A common name holds at most 64 characters (RFC 5280, ub-common-name); clients look at subjectAltName alone.
  certificate.setSubject([{ name: "commonName", value: names[0].slice(0, 64) }]);
  certificate.setIssuer(issuer.subject.attributes);
  if (certificate.validity.notAfter > issuer.validity.notAfter)
    certificate.validity.notAfter = issuer.validity.notAfter;
  certificate.setExtensions([
    { name: "basicConstraints", cA: false, critical: true },
    { name: "keyUsage", digitalSignature: true, critical: true },
    { name: "extKeyUsage", serverAuth: true },
    { name: "authorityKeyIdentifier", keyIdentifier: issuer.generateSubjectKeyIdentifier().getBytes() },
    {
      name: "subjectAltName",
      altNames: names.map(name => (isIP(name) ? { type: 7, ip: name } : { type: 2, value: name })),
    },
    { name: "subjectKeyIdentifier", value: keyIdentifier(keys.publicKey) },
  ]);
  // node-forge writes no other public keys than RSA's: the server's own takes the place of one before it is signed.
  certificate.signatureOid = certificate.siginfo.algorithmOid = SHA256_WITH_RSA;
  const unsigned = pki.getTBSCertificate(certificate);
  unsigned.value[PUBLIC_KEY] = publicKey;
  certificate.tbsCertificate = unsigned;
  const der = Buffer.from(forge.asn1.toDer(unsigned).getBytes(), "latin1");
  certificate.signature = sign("sha256", der, authority.privateKey).toString("latin1");
  return {
    certificate: pemOf(certificate),
    privateKey: keys.privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
  };
}

/** With what the types of node-forge leave out (lib/x509.js). */
const pki = forge.pki as typeof forge.pki & {
  getTBSCertificate(certificate: forge.pki.Certificate): forge.asn1.Asn1 & { value: forge.asn1.Asn1[] };
};

/** sha256WithRSAEncryption (RFC 8017, appendix C). */
const SHA256_WITH_RSA = "1.2.840.113549.1.1.11";

/** Which member of a TBSCertificate with a version is subjectPublicKeyInfo (RFC 5280, 4.1). */
const PUBLIC_KEY = 6;

/** The first method of RFC 5280, 4.2.1.2: SHA-1 of the public key's bits, which end its SPKI. node-forge knows RSA's alone. */
function keyIdentifier(publicKey: KeyObject): forge.asn1.Asn1 {
  const point = publicKey.export({ type: "spki", format: "der" }).subarray(-UNCOMPRESSED_POINT);
  const digest = createHash("sha1").update(point).digest().toString("latin1");
  return forge.asn1.create(forge.asn1.Class.UNIVERSAL, forge.asn1.Type.OCTETSTRING, false, digest);
}

/** Bytes of a point of P-256: 4, x and y (SEC 1, 2.3.3). */
const UNCOMPRESSED_POINT = 65;

/** With the line ends that every other tool writes: node-forge's are CR LF. */
function pemOf(certificate: forge.pki.Certificate): string {
  return forge.pki.certificateToPem(certificate).replaceAll("\r\n", "\n");
}

/** An authority's. Key pairs come from OpenSSL: node-forge's own generation is slow and is not constant-time. */
async function newKeys() {
  const { privateKey } = await makeKeyPair("rsa", { modulusLength: KEY_BITS });
  const pem = privateKey.export({ type: "pkcs8", format: "pem" }).toString();
  const publicPem = createPublicKey(pem).export({ type: "spki", format: "pem" }).toString();
  return {
    pem,
    private: forge.pki.privateKeyFromPem(rsaPem(pem)),
    public: forge.pki.publicKeyFromPem(publicPem),
  };
}

/** The PKCS #1 form, which node-forge reads. */
function rsaPem(pem: string): string {
  return createPrivateKey(pem).export({ type: "pkcs1", format: "pem" }).toString();
}

function blank(publicKey: forge.pki.PublicKey, days: number, now: Date): forge.pki.Certificate {
  const certificate = forge.pki.createCertificate();
  certificate.publicKey = publicKey;
  // A positive serial of at most 20 octets (RFC 5280, 4.1.2.2), whose first octet is neither 0 nor a sign bit.
  const serial = randomBytes(16);
  serial[0] = ((serial[0] ?? 0) & 0x3f) | 0x40;
  certificate.serialNumber = serial.toString("hex");
  certificate.validity.notBefore = new Date(now.getTime() - SKEW_MS);
  certificate.validity.notAfter = new Date(now.getTime() + days * DAY_MS);
  return certificate;
}
