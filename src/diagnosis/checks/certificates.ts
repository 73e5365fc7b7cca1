import type { X509Certificate } from "node:crypto";
import { sides } from "../../admission/entry.ts";
import { hostnameOf } from "../../oci/hostname.ts";
import type { Check } from "../check.ts";
import type { Address, ClusterView, PodPort } from "../cluster-view.ts";
import { DiagnosisError } from "../error.ts";
import { type Finding, finding } from "../finding.ts";
import { certificatesOf, servedCertificate } from "../served-certificate.ts";
import type { RegisteredWebhook, WebhookConfiguration } from "../webhook-configuration.ts";
import { portOf, webhookPods } from "../webhook-pods.ts";
import { KINDS } from "./registration.ts";

const ADMISSION_PORT = 10250;
/** What of a certificate's life may be left before somebody has to look: it is renewed well before. */
const LEAST_LEFT = 0.1;

/** Codes of OpenSSL (X509_V_ERR_…, as Node names them) for a certificate that is not valid at this time. */
const UNTIMELY = new Set(["CERT_HAS_EXPIRED", "CERT_NOT_YET_VALID"]);

/** A caBundle with the entries that have it. */
interface Bundle {
  readonly where: string;
  readonly authorities: readonly X509Certificate[];
}

/** A server of the webhook, and the name that API servers call it by. */
interface Server {
  readonly where: string;
  readonly name: string;
  readonly place: PodPort | Address;
}

export const certificatesCheck: Check = {
  name: "certificates",
  async run({ cluster, installation: { ownNamespace } }) {
    const webhooks = await registered(cluster);
    const found: Finding[] = [];
    const bundles = new Map<string, Bundle>();
    for (const { where, webhook } of webhooks) {
      const { caBundle } = webhook.clientConfig;
      if (!caBundle) {
        found.push(finding("CaBundleMissing", where));
        continue;
      }
      if (bundles.has(caBundle)) continue;
      const authorities = certificatesOf(Buffer.from(caBundle, "base64").toString("latin1"));
      if (authorities.length === 0) found.push(finding("CaBundleUnreadable", where));
      else bundles.set(caBundle, { where, authorities });
    }
    for (const { where, authorities } of bundles.values()) {
      // Those that are on their way out stay beside the newest for a while.
      const newest = authorities.reduce((one, other) => (validTo(other) > validTo(one) ? other : one));
      found.push(...lifeFindings(newest, `the authority in caBundle of ${where}`, cluster.now()));
    }
    if (bundles.size === 0) return found;
    for (const server of await servers(cluster, webhooks, ownNamespace)) {
      found.push(...(await serverFindings(cluster, server, [...bundles.values()])));
    }
    return found;
  },
};

interface Found {
  readonly where: string;
  readonly webhook: RegisteredWebhook;
}

async function registered(cluster: ClusterView): Promise<readonly Found[]> {
  const found: Found[] = [];
  for (const side of sides) {
    const { path, kind } = KINDS[side];
    const { webhooks = [] } = (await cluster.get<WebhookConfiguration>(path)) ?? {};
    for (const webhook of webhooks) found.push({ where: `${kind}, entry ${webhook.name}`, webhook });
  }
  return found;
}

async function servers(
  cluster: ClusterView,
  webhooks: readonly Found[],
  ownNamespace: string,
): Promise<readonly Server[]> {
  const addresses = new Map<string, Server>();
  for (const { webhook } of webhooks) {
    if (webhook.clientConfig.url === undefined) continue;
    const url = new URL(webhook.clientConfig.url);
    const { host, port } = url;
    const name = hostnameOf(url);
    addresses.set(host, { where: `the webhook at ${host}`, name, place: { host: name, port: Number(port) || 443 } });
  }
  const service = webhooks.map(({ webhook }) => webhook.clientConfig.service).find(one => one !== undefined);
  if (service === undefined) return [...addresses.values()];
  const pods = await webhookPods(cluster, ownNamespace);
  const name = `${service.name}.${service.namespace}.svc`;
  const replicas = pods.map(pod => ({
    where: `pod ${ownNamespace}/${pod.metadata.name}`,
    name,
    place: { namespace: ownNamespace, pod: pod.metadata.name, port: portOf(pod, "admission", ADMISSION_PORT) },
  }));
  return [...addresses.values(), ...replicas];
}

async function serverFindings(
  cluster: ClusterView,
  { where, name, place }: Server,
  bundles: readonly Bundle[],
): Promise<readonly Finding[]> {
  const found: Finding[] = [];
  for (const [index, bundle] of bundles.entries()) {
    try {
      const { certificate, problem } = await servedCertificate(await cluster.connect(place), bundle.authorities, name);
      if (index === 0) found.push(...lifeFindings(certificate, `the certificate of ${where}`, cluster.now()));
      if (problem !== null && !UNTIMELY.has(problem)) {
        found.push(finding("CertificateUntrusted", where, `by caBundle of ${bundle.where}, as ${name}: ${problem}`));
      }
    } catch (error) {
      if (!(error instanceof DiagnosisError)) throw error;
      return [finding("ReplicaUnreachable", where, error.message)];
    }
  }
  return found;
}

function lifeFindings(certificate: X509Certificate, where: string, now: Date): Finding[] {
  const [from, to] = [Date.parse(certificate.validFrom), validTo(certificate)];
  const text = `it is valid from ${new Date(from).toISOString()} to ${new Date(to).toISOString()}`;
  if (now.getTime() > to || now.getTime() < from) return [finding("CertificateExpired", where, text)];
  if (to - now.getTime() < (to - from) * LEAST_LEFT) return [finding("CertificateExpiring", where, text)];
  return [];
}

function validTo({ validTo: text }: X509Certificate): number {
  return Date.parse(text);
}
