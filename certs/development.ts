import { readFile } from "node:fs/promises";
import { Command } from "commander";
import { parseAllDocuments, stringify } from "yaml";
import { createAuthority, issueServerCertificate } from "../src/certs/authority.ts";

interface Options {
  readonly namespace: string;
  readonly days: string;
}

const MOST_DAYS = 365;

/**
 * A certificate for an installation without Helm, cert-manager or wasmount's own authority: to try something out. Its
 * authority's key is forgotten at once, so another certificate means both registrations anew.
 * @returns manifests: the Secret of type kubernetes.io/tls, and the registrations with their caBundle
 */
export async function developmentManifests(namespace: string, days: number, now: Date): Promise<readonly object[]> {
  const service = `wasmount-webhook.${namespace}.svc`;
  const authority = await createAuthority("wasmount development CA", days, now);
  const leaf = await issueServerCertificate(authority, [service, `${service}.cluster.local`], days, now);
  const secret = {
    apiVersion: "v1",
    kind: "Secret",
    metadata: { name: "wasmount-webhook-tls", namespace },
    type: "kubernetes.io/tls",
    stringData: { "tls.crt": leaf.certificate, "tls.key": leaf.privateKey },
  };
  const caBundle = Buffer.from(authority.certificate).toString("base64");
  const text = await readFile(new URL("../manifests/webhooks.yaml", import.meta.url), "utf8");
  const registrations = parseAllDocuments(text.replaceAll("wasmount-system", namespace), { merge: true }).map(
    document => {
      const { webhooks, ...registration } = document.toJS();
      const trusting = webhooks.map((webhook: { readonly clientConfig: object }) => ({
        ...webhook,
        clientConfig: { ...webhook.clientConfig, caBundle },
      }));
      return { ...registration, webhooks: trusting };
    },
  );
  return [secret, ...registrations];
}

if (import.meta.main) {
  const { namespace, days } = new Command("certs/development.ts")
    .description("Print a Secret with a serving certificate, and the registrations that trust it, for kubectl apply.")
    .option("--namespace <namespace>", "the webhook's", "wasmount-system")
    .option("--days <days>", `how long it serves, ${MOST_DAYS} at most`, "30")
    .addHelpText("after", "\nExample:\n  $ node certs/development.ts | kubectl apply -f -\n")
    .parse()
    .opts<Options>();
  const lifetime = Number(days);
  if (!(lifetime > 0 && lifetime <= MOST_DAYS)) {
    process.stderr.write(`certs/development.ts: --days ${days} is none of 1 to ${MOST_DAYS}\n`);
    process.exitCode = 2;
  } else {
    const manifests = await developmentManifests(namespace, lifetime, new Date());
    process.stdout.write(
      manifests.map(manifest => stringify(manifest, { aliasDuplicateObjects: false })).join("---\n"),
    );
  }
}
