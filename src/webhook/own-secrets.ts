import { setTimeout as sleep } from "node:timers/promises";
import { selfMadeCertificates } from "../certs/self-made.ts";
import type { CertificateFiles, Config, SelfMadeCertificates } from "../config/config.ts";
import { ConfigError } from "../config/error.ts";
import { messageOf } from "../error.ts";
import type { ApiServer } from "../kube/api-server.ts";
import type { EventContent } from "../kube/event.ts";
import { secretStore } from "../kube/secret.ts";
import type { Logger } from "../observe/log.ts";
import type { Metrics } from "../observe/metrics.ts";
import { keptKeys } from "../plan/kept-keys.ts";
import { fixedKeys, type PlanKeyring } from "../plan/keyring.ts";
import { type ClientAuthorities, type CredentialSource, credentialFiles, selfMadeCredentials } from "./credentials.ts";
import { readPlanKeyFiles } from "./plan-keys.ts";

/** Certificates and keys of a replica, wherever they come from. */
export interface OwnSecrets {
  readonly credentials: CredentialSource;
  readonly keyring: PlanKeyring;
  close(): Promise<void>;
}

export interface OwnSecretsGiven {
  /** Null without a cluster. */
  readonly server: ApiServer | null;
  readonly record: (event: EventContent) => void;
  readonly log: Logger;
  readonly metrics: Metrics;
}

const LABELS = { "app.kubernetes.io/name": "wasmount", "app.kubernetes.io/component": "webhook" };
const CLOCKS = {
  wall: () => Date.now(),
  monotonic: () => performance.now(),
  random: Math.random,
  sleep: (milliseconds: number, signal: AbortSignal) => sleep(milliseconds, undefined, { signal }),
};

/** Opens what the configuration names. @throws ConfigError Unusable, naming the setting */
export async function openOwnSecrets(
  config: Pick<Config, "tls" | "plan" | "pins">,
  given: OwnSecretsGiven,
): Promise<OwnSecrets> {
  const { tls, plan } = config;
  const needing = "self" in tls && tls.self ? "tls.self" : plan.keysSecret === null ? null : "plan.keysSecret";
  if (given.server === null && needing !== null) {
    throw new ConfigError(
      "Unusable",
      `${needing} needs a cluster, and with --namespace-file there is none: name files`,
    );
  }
  const files = await readPlanKeyFiles(plan);
  if (plan.keysSecret === null && files.signer === null) {
    given.log.warn("plans are not signed: set plan.keysSecret or plan.signingKeyFile");
  }
  // Opened last: an open watch would keep a process alive that failed to start.
  const keys = plan.keysSecret === null ? null : openKeys(plan.keysSecret, config, given);
  const certificates = openCertificates(config, given);
  return {
    credentials: certificates.source,
    keyring: keys ?? fixedKeys(files),
    async close() {
      await Promise.all([keys?.close(), certificates.close()]);
    },
  };
}

function openCertificates(
  { tls, pins }: Pick<Config, "tls" | "pins">,
  { server, record, log, metrics }: OwnSecretsGiven,
) {
  if (server === null || !isSelfMade(tls)) {
    return { source: credentialFiles(tls as CertificateFiles & ClientAuthorities), close: async () => {} };
  }
  const { caSecret, dnsNames, registration } = tls.self;
  const { namespace } = pins;
  const troubles = reporter(`can't keep certificates current, serving what there is`, namespace, record, log);
  const signer = selfMadeCertificates({
    server,
    namespace,
    secret: { name: caSecret, store: secretStore(server, namespace, caSecret, LABELS) },
    registration,
    names: dnsNames,
    observer: {
      renewed: (kind, result) => metrics.renewed(kind, result),
      patched(kind, result) {
        metrics.bundlePatched(result);
        if (result === "Written") log.info({ registration: `${kind} ${registration}` }, "told whom to trust");
      },
      wrote: (reason, detail) => log.info({ secret: caSecret, reason, detail }, "wrote the authority's Secret"),
      serving: ({ notAfter }) => log.info({ notAfter: new Date(notAfter) }, "signed a serving certificate"),
    },
    failed: troubles.failed,
    recovered: troubles.recovered,
    interrupted: reason => metrics.interrupted("certificates", reason),
    ...CLOCKS,
  });
  return { source: selfMadeCredentials(signer, tls), close: () => signer.close() };
}

function openKeys(name: string, { pins }: Pick<Config, "pins">, { server, record, log, metrics }: OwnSecretsGiven) {
  if (server === null) return null;
  const { namespace } = pins;
  const troubles = reporter("can't keep plan-signing keys current, using what there is", namespace, record, log);
  const keys = keptKeys({
    server,
    namespace,
    name,
    secrets: secretStore(server, namespace, name, LABELS),
    interrupted: reason => metrics.interrupted("plan-keys", reason),
    changed(change) {
      metrics.renewed("plan-key", "Written");
      log.info({ secret: name, change }, "wrote the Secret of plan-signing keys");
    },
    failed(error) {
      metrics.renewed("plan-key", "Failed");
      troubles.failed(error);
    },
    recovered: troubles.recovered,
    ...CLOCKS,
  });
  metrics.watch("plan-keys", keys);
  return keys;
}

function isSelfMade(tls: Config["tls"]): tls is { readonly self: SelfMadeCertificates } & ClientAuthorities {
  return "self" in tls && tls.self !== undefined;
}

/** Tells of a trouble once, and of its end, in the log; and by an Event, which counts how often. */
function reporter(what: string, namespace: string, record: (event: EventContent) => void, log: Logger) {
  let told = "";
  return {
    failed(error: unknown) {
      const problem = messageOf(error);
      if (problem !== told) log.error({ error: problem }, what);
      told = problem;
      record({
        regarding: { apiVersion: "apps/v1", kind: "Deployment", name: "wasmount-webhook", namespace },
        type: "Warning",
        reason: "CertificateRenewalFailed",
        action: "Renew",
        note: `${what}: ${problem}`,
      });
    },
    recovered() {
      if (told !== "") log.info(`no longer: ${what}`);
      told = "";
    },
  };
}
