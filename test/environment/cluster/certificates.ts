import { generateKeyPair as generateKeyPairCallback } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, rename, writeFile } from "node:fs/promises";
import { promisify } from "node:util";
import forge from "node-forge";
import { podNetwork, serviceNetwork } from "./network.ts";
import { stateFolder } from "./settings.ts";

const generateKeyPair = promisify(generateKeyPairCallback);
const tenYears = 3650 * 24 * 60 * 60 * 1000;

/** The name under which the node registers. */
export const nodeName = "wasmount";

/** Where the cluster's keys and certificates lie. */
export const pki = {
  ca: () => stateFolder("pki", "ca.crt"),
  caKey: () => stateFolder("pki", "ca.key"),
  serving: () => stateFolder("pki", "serving.crt"),
  servingKey: () => stateFolder("pki", "serving.key"),
  client: () => stateFolder("pki", "client.crt"),
  clientKey: () => stateFolder("pki", "client.key"),
  tokenKey: () => stateFolder("pki", "service-accounts.key"),
} as const;

interface Identity {
  readonly key: string;
  readonly certificate: string;
}

/**
 * Makes, once per cluster: a CA, one serving certificate for every component, one client certificate (the API server
 * as client of etcd and the kubelet), and the key that signs ServiceAccount tokens.
 * @param now the certificates' begin, in milliseconds since 1970.
 */
export async function ensureCertificates(now: number): Promise<void> {
  if (existsSync(stateFolder("pki"))) return;
  const staging = stateFolder("pki.new");
  await mkdir(staging, { recursive: true, mode: 0o700 });
  const put = (name: string, text: string) => writeFile(`${staging}/${name}`, text, { mode: 0o600 });
  const ca = await issue(now, "wasmount test CA", [], authorityExtensions(), null);
  const serving = await issue(now, "wasmount test cluster", [], servingExtensions(), ca);
  const client = await issue(now, "kube-apiserver-client", ["system:masters"], clientExtensions(), ca);
  await put("ca.crt", ca.certificate);
  await put("ca.key", ca.key);
  await put("serving.crt", serving.certificate);
  await put("serving.key", serving.key);
  await put("client.crt", client.certificate);
  await put("client.key", client.key);
  await put("service-accounts.key", await rsaKey());
  await rename(staging, stateFolder("pki"));
}

async function rsaKey(): Promise<string> {
  const { privateKey } = await generateKeyPair("rsa", { modulusLength: 2048 });
  return privateKey.export({ type: "pkcs1", format: "pem" }).toString();
}

async function issue(
  now: number,
  name: string,
  groups: readonly string[],
  extensions: object[],
  issuer: Identity | null,
): Promise<Identity> {
  const key = await rsaKey();
  const privateKey = forge.pki.privateKeyFromPem(key);
  const certificate = forge.pki.createCertificate();
  certificate.publicKey = forge.pki.setRsaPublicKey(privateKey.n, privateKey.e);
  // Positive, and not led by a zero that the next octet makes needless (RFC 5280, 4.1.2.2; X.690, 8.3.2): Go refuses those.
  certificate.serialNumber = `40${forge.util.bytesToHex(forge.random.getBytesSync(15))}`;
  certificate.validity.notBefore = new Date(now - 60_000);
  certificate.validity.notAfter = new Date(now + tenYears);
  const subject = [...groups.map(value => ({ name: "organizationName", value })), { name: "commonName", value: name }];
  certificate.setSubject(subject);
  certificate.setIssuer(issuer ? forge.pki.certificateFromPem(issuer.certificate).subject.attributes : subject);
  certificate.setExtensions(extensions);
  certificate.sign(issuer ? forge.pki.privateKeyFromPem(issuer.key) : privateKey, forge.md.sha256.create());
  return { key, certificate: forge.pki.certificateToPem(certificate) };
}

function authorityExtensions(): object[] {
  return [
    { name: "basicConstraints", cA: true, critical: true },
    { name: "keyUsage", keyCertSign: true, cRLSign: true, digitalSignature: true, critical: true },
    { name: "subjectKeyIdentifier" },
  ];
}

function servingExtensions(): object[] {
  const names = ["kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"];
  const addresses = ["127.0.0.1", podNetwork.gateway, serviceNetwork.api];
  return [
    { name: "keyUsage", digitalSignature: true, keyEncipherment: true, critical: true },
    { name: "extKeyUsage", serverAuth: true, clientAuth: true },
    {
      name: "subjectAltName",
      // GeneralName (RFC 5280, 4.2.1.6): 2 is a DNS name, 7 an IP address.
      altNames: [
        ...["localhost", nodeName, ...names].map(value => ({ type: 2, value })),
        ...addresses.map(ip => ({ type: 7, ip })),
      ],
    },
  ];
}

function clientExtensions(): object[] {
  return [
    { name: "keyUsage", digitalSignature: true, critical: true },
    { name: "extKeyUsage", clientAuth: true },
  ];
}
