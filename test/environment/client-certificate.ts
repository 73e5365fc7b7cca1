import { createPrivateKey, createPublicKey, generateKeyPairSync, randomBytes } from "node:crypto";
import forge from "node-forge";
import type { Credentials } from "../../src/certs/authority.ts";

/** Issues a client certificate, such as an API server presents to webhooks, for a day. */
export function issueClientCertificate(authority: Credentials, commonName: string, now = new Date()): Credentials {
  const issuer = forge.pki.certificateFromPem(authority.certificate);
  const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const certificate = forge.pki.createCertificate();
  certificate.publicKey = forge.pki.publicKeyFromPem(
    createPublicKey(privateKey).export({ type: "spki", format: "pem" }).toString(),
  );
  certificate.serialNumber = `40${randomBytes(15).toString("hex")}`;
  certificate.validity.notBefore = new Date(now.getTime() - 60_000);
  certificate.validity.notAfter = new Date(now.getTime() + 86_400_000);
  certificate.setSubject([{ name: "commonName", value: commonName }]);
  certificate.setIssuer(issuer.subject.attributes);
  certificate.setExtensions([
    { name: "basicConstraints", cA: false, critical: true },
    { name: "keyUsage", digitalSignature: true, critical: true },
    { name: "extKeyUsage", clientAuth: true },
  ]);
  const key = createPrivateKey(authority.privateKey).export({ type: "pkcs1", format: "pem" }).toString();
  certificate.sign(forge.pki.privateKeyFromPem(key), forge.md.sha256.create());
  return {
    certificate: forge.pki.certificateToPem(certificate),
    privateKey: privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
  };
}
