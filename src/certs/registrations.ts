import type { ApiServer } from "../kube/api-server.ts";
import { jsonOf } from "../kube/body.ts";
import { KubeError } from "../kube/error.ts";
import { malformed, members, text } from "../kube/watched-kind.ts";
import type { AuthorityCertificate } from "./certificates.ts";
import type { ObservedEntry, ObservedRegistration } from "./lifecycle.ts";

/** Under this name, `caBundle` of every entry is ours, and nothing else of a registration. */
export const FIELD_MANAGER = "wasmount-ca-bundle";

const API = "/apis/admissionregistration.k8s.io/v1";
/** etcd holds objects of at most 1.5 MiB. */
const REGISTRATION_BYTES = 4 * 1024 * 1024;

export const REGISTRATION_KINDS = ["MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"] as const;
export type RegistrationKind = (typeof REGISTRATION_KINDS)[number];

const COLLECTIONS: Readonly<Record<RegistrationKind, string>> = {
  MutatingWebhookConfiguration: `${API}/mutatingwebhookconfigurations`,
  ValidatingWebhookConfiguration: `${API}/validatingwebhookconfigurations`,
};

/** Where the registrations of a kind are, below the cluster's URL. */
export function registrationsPath(kind: RegistrationKind): string {
  return COLLECTIONS[kind];
}

/** One of the two registrations, in one version. */
export interface Registration extends ObservedRegistration {
  readonly kind: RegistrationKind;
  readonly resourceVersion: string;
  /** When its bundles were last changed by {@link FIELD_MANAGER}, in milliseconds since 1970; null where never. */
  readonly appliedAt: number | null;
}

/** The registrations whose entries are to trust an authority. */
export interface Registrations {
  /** How messages call one. */
  nameOf(kind: RegistrationKind): string;
  /** Those that there are, as they are now, never from an API server's memory. @throws KubeError */
  read(signal: AbortSignal): Promise<readonly Registration[]>;
  /**
   * Writes the bundle of every entry, and nothing else, of exactly the version that was read.
   * @returns whether it is written: not where somebody else wrote meanwhile
   * @throws KubeError
   */
  apply(registration: Registration, bundle: string, signal: AbortSignal): Promise<boolean>;
}

/** @param name of both registrations */
export function clusterRegistrations(
  server: ApiServer,
  name: string,
  readAuthorities: (pem: string) => readonly AuthorityCertificate[],
): Registrations {
  const pathOf = (kind: RegistrationKind) => `${COLLECTIONS[kind]}/${encodeURIComponent(name)}`;
  async function readOne(kind: RegistrationKind, signal: AbortSignal): Promise<readonly Registration[]> {
    try {
      const body = await server.open(pathOf(kind), "application/json", signal);
      return [readRegistration(await jsonOf(body, REGISTRATION_BYTES), kind, readAuthorities)];
    } catch (error) {
      if (error instanceof KubeError && error.code === "NotFound") return [];
      throw error;
    }
  }
  return {
    nameOf: kind => `${kind} ${name}`,
    async read(signal) {
      return (await Promise.all(REGISTRATION_KINDS.map(kind => readOne(kind, signal)))).flat();
    },
    async apply({ kind, resourceVersion, entries }, bundle, signal) {
      const value = Buffer.from(bundle).toString("base64");
      // JSON Patch, and not server-side apply: who applies entries must name them, owns their names with it, and keeps
      // whoever installed them from taking one away (the API server refuses what is left of it). Places are those of the
      // version that is named: of another one, this is a conflict.
      const body = [
        { op: "replace", path: "/metadata/resourceVersion", value: resourceVersion },
        ...entries.map((_, index) => ({ op: "add", path: `/webhooks/${index}/clientConfig/caBundle`, value })),
      ];
      try {
        const path = `${pathOf(kind)}?fieldManager=${FIELD_MANAGER}`;
        await server.write({ method: "PATCH", path, body, contentType: "application/json-patch+json" }, signal);
        return true;
      } catch (error) {
        if (error instanceof KubeError && (error.code === "Conflict" || error.code === "NotFound")) return false;
        throw error;
      }
    },
  };
}

/** @throws KubeError Malformed */
export function readRegistration(
  value: unknown,
  kind: RegistrationKind,
  readAuthorities: (pem: string) => readonly AuthorityCertificate[],
): Registration {
  const registration = members(value, "a registration");
  const metadata = members(registration.metadata, "a registration's metadata");
  const webhooks = registration["webhooks"] ?? [];
  if (!Array.isArray(webhooks)) throw malformed("a registration's entries are no array");
  // The entries of a registration hold the same bundle, as a rule.
  const known = new Map<string, readonly AuthorityCertificate[]>();
  const entries = webhooks.map((webhook): ObservedEntry => {
    const entry = members(webhook, "an entry");
    const clientConfig = members(entry["clientConfig"], "an entry's clientConfig");
    const bundle = Buffer.from(text(clientConfig["caBundle"] ?? "", "a caBundle"), "base64").toString("utf8");
    const authorities = known.get(bundle) ?? readAuthorities(bundle);
    known.set(bundle, authorities);
    return { name: text(entry.name, "an entry's name"), bundle, authorities };
  });
  const resourceVersion = text(metadata.resourceVersion, "a registration's resourceVersion");
  return { kind, resourceVersion, entries, appliedAt: lastApplied(metadata["managedFields"]) };
}

function lastApplied(managedFields: unknown): number | null {
  if (!Array.isArray(managedFields)) return null;
  const own = managedFields.find(fields => fields?.manager === FIELD_MANAGER);
  const time = Date.parse(String(own?.time));
  return Number.isNaN(time) ? null : time;
}
