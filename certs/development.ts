import { writeFile } from "node:fs/promises";
import { Command } from "commander";
import { stringify } from "yaml";
import { createAuthority, issueServerCertificate } from "../src/certs/authority.ts";

interface Options {
  readonly namespace: string;
  readonly days: string;
  readonly values: string;
}

const MOST_DAYS = 365;
const SECRET = "wasmount-webhook-tls";

/** What an installation with certificates.mode `provided` takes. */
export interface DevelopmentCertificate {
  /** The Secret of type kubernetes.io/tls. */
  readonly secret: object;
  /** Values of the chart that name it, and whom API servers are to trust. */
  readonly values: object;
}

/**
 * A certificate without cert-manager or wasmount's own authority: to try something out. Its authority's key is forgotten at
 * once, so another certificate means other values.
 */
export async function developmentCertificate(
  namespace: string,
  days: number,
  now: Date,
): Promise<DevelopmentCertificate> {
  const service = `wasmount-webhook.${namespace}.svc`;
  const authority = await createAuthority("wasmount development CA", days, now);
  const leaf = await issueServerCertificate(authority, [service, `${service}.cluster.local`], days, now);
  return {
    secret: {
      apiVersion: "v1",
      kind: "Secret",
      metadata: { name: SECRET, namespace },
      type: "kubernetes.io/tls",
      stringData: { "tls.crt": leaf.certificate, "tls.key": leaf.privateKey },
    },
    values: {
      certificates: { mode: "provided", provided: { secretName: SECRET, caBundle: authority.certificate } },
    },
  };
}

if (import.meta.main) {
  const { namespace, days, values } = new Command("certs/development.ts")
    .description("Print a Secret with a serving certificate, for kubectl apply, and write the chart's values for it.")
    .option("--namespace <namespace>", "the webhook's", "wasmount-system")
    .option("--days <days>", `how long it serves, ${MOST_DAYS} at most`, "30")
    .option("--values <file>", "where the values go", "development-values.yaml")
    .addHelpText(
      "after",
      "\nExample:\n  $ node certs/development.ts | kubectl apply -f -\n  $ helm install wasmount charts/wasmount -n wasmount-system -f development-values.yaml\n",
    )
    .parse()
    .opts<Options>();
  const lifetime = Number(days);
  if (!(lifetime > 0 && lifetime <= MOST_DAYS)) {
    process.stderr.write(`certs/development.ts: --days ${days} is none of 1 to ${MOST_DAYS}\n`);
    process.exitCode = 2;
  } else {
    const made = await developmentCertificate(namespace, lifetime, new Date());
    await writeFile(values, stringify(made.values));
    process.stdout.write(stringify(made.secret));
  }
}
