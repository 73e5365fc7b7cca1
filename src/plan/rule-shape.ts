import { LAYOUT_NAMES } from "../oci/layout.ts";
import { HASH_NAMES } from "../trust/public-key.ts";
import type {
  AttestationRule,
  Authority,
  CertificateIdentity,
  EvidenceFormat,
  Identity,
  KeyAuthority,
  ModuleRule,
  Rule,
} from "../trust/rule.ts";
import {
  atMost,
  boolean,
  bounded,
  choice,
  closed,
  count,
  digest,
  object,
  pattern,
  readReference,
  shape,
  short,
  text,
} from "./members.ts";

/** Rules of one plan. */
export const MAX_RULES = 64;
const MAX_AUTHORITIES = 32;
const MAX_TEXT = 1024;
const MAX_PEM = 8192;
const MAX_ROOT = 256 * 1024;
const FORMATS: readonly EvidenceFormat[] = ["simpleSigning", "sigstoreBundle"];

/**
 * Reads the rules of a plan. What is unknown is refused: a rule that demands what this fetcher does not know of must not
 * be satisfied without it. Keys and roots are read where they are used.
 * @throws PlanError BadShape, naming the member
 */
export function readRules(value: unknown): readonly Rule[] {
  return bounded(value, "rules", 0, MAX_RULES).map((rule, index) => readRule(rule, `rules[${index}]`));
}

const RULE_MEMBERS = [
  "policy",
  "mode",
  "onRegistryError",
  "requireDigest",
  "allowedTagPattern",
  "module",
  "minimum",
  "authorities",
  "source",
  "attestations",
] as const satisfies readonly (keyof Rule)[];

function readRule(value: unknown, path: string): Rule {
  const rule = closed(value, path, RULE_MEMBERS);
  const authorities = bounded(rule["authorities"], `${path}.authorities`, 1, MAX_AUTHORITIES).map((one, index) =>
    readAuthority(one, `${path}.authorities[${index}]`),
  );
  const names = new Set(authorities.map(({ name }) => name));
  if (names.size < authorities.length) throw shape(`${path}.authorities`, "authorities of different names");
  return {
    policy: pattern(
      rule["policy"],
      /^(WasmPolicy|NamespacedWasmPolicy\/[-a-z0-9]{1,63})\/[-a-z0-9.]{1,253}$/,
      `${path}.policy`,
    ),
    mode: choice(rule["mode"], `${path}.mode`, ["Enforce", "Warn", "Audit"]),
    onRegistryError: choice(rule["onRegistryError"], `${path}.onRegistryError`, ["Deny", "Defer", "Warn"]),
    requireDigest: boolean(rule["requireDigest"], `${path}.requireDigest`),
    allowedTagPattern: short(rule["allowedTagPattern"], `${path}.allowedTagPattern`, MAX_TEXT),
    module: readModule(rule["module"], `${path}.module`),
    minimum: threshold(rule["minimum"], `${path}.minimum`, 1),
    authorities,
    source: rule["source"] === null ? null : readReference(rule["source"], `${path}.source`),
    attestations: bounded(rule["attestations"], `${path}.attestations`, 0, 16).map((one, index) =>
      readAttestation(one, `${path}.attestations[${index}]`, authorities),
    ),
  };
}

function readModule(value: unknown, path: string): ModuleRule {
  const { formats, maxBytes } = closed(value, path, ["formats", "maxBytes"]);
  return {
    formats: bounded(formats, `${path}.formats`, 0, LAYOUT_NAMES.length).map(one =>
      choice(one, `${path}.formats`, LAYOUT_NAMES),
    ),
    maxBytes: maxBytes === null ? null : count(maxBytes, `${path}.maxBytes`),
  };
}

function readAuthority(value: unknown, path: string): Authority {
  const kind = choice(object(value, path)["kind"], `${path}.kind`, ["key", "keyless", "digests"]);
  if (kind === "digests") {
    const { name, digests } = closed(value, path, ["kind", "name", "digests"]);
    return {
      kind,
      name: short(name, `${path}.name`, MAX_TEXT),
      digests: bounded(digests, `${path}.digests`, 1, 256).map((one, index) =>
        digest(one, `${path}.digests[${index}]`),
      ),
    };
  }
  const shared = ["kind", "name", "formats", "identity", "annotations"];
  if (kind === "key") {
    const { pem, hash, ...rest } = closed(value, path, [...shared, "pem", "hash"]);
    return {
      kind,
      ...readSigned(rest, path),
      pem: short(pem, `${path}.pem`, MAX_PEM),
      hash: hash === null ? null : choice(hash, `${path}.hash`, HASH_NAMES),
    };
  }
  const own = ["trustedRoot", "identities", "tlogThreshold", "ctlogThreshold"];
  const { trustedRoot, identities, tlogThreshold, ctlogThreshold, ...rest } = closed(value, path, [...shared, ...own]);
  return {
    kind,
    ...readSigned(rest, path),
    trustedRoot: short(trustedRoot, `${path}.trustedRoot`, MAX_ROOT),
    identities: bounded(identities, `${path}.identities`, 1, 64).map((one, index) =>
      readIdentity(one, `${path}.identities[${index}]`),
    ),
    tlogThreshold: threshold(tlogThreshold, `${path}.tlogThreshold`, 0),
    ctlogThreshold: threshold(ctlogThreshold, `${path}.ctlogThreshold`, 0, 1),
  };
}

function readSigned(
  { name, formats, identity, annotations }: Readonly<Record<string, unknown>>,
  path: string,
): Pick<KeyAuthority, "name" | "formats" | "identity" | "annotations"> {
  return {
    name: short(name, `${path}.name`, MAX_TEXT),
    formats: bounded(formats, `${path}.formats`, 1, FORMATS.length).map(one => choice(one, `${path}.formats`, FORMATS)),
    identity: readRepositoryIdentity(identity, `${path}.identity`),
    annotations: Object.fromEntries(
      atMost(Object.entries(object(annotations, `${path}.annotations`)), `${path}.annotations`, 64).map(
        ([key, one]) => [short(key, `${path}.annotations`, MAX_TEXT), short(one, `${path}.annotations`, MAX_TEXT)],
      ),
    ),
  };
}

function readRepositoryIdentity(value: unknown, path: string): Identity {
  if (typeof value === "string") return choice(value, path, ["MatchRepository", "Ignore"] as const);
  const { from, to } = closed(value, path, ["from", "to"]);
  return { from: short(from, `${path}.from`, MAX_TEXT), to: short(to, `${path}.to`, MAX_TEXT) };
}

function readIdentity(value: unknown, path: string): CertificateIdentity {
  const { issuer, subject } = closed(value, path, ["issuer", "subject"]);
  return { issuer: short(issuer, `${path}.issuer`, MAX_TEXT), subject: short(subject, `${path}.subject`, MAX_TEXT) };
}

function readAttestation(value: unknown, path: string, known: readonly Authority[]): AttestationRule {
  const { predicateType, authorities, minimum } = closed(value, path, ["predicateType", "authorities", "minimum"]);
  return {
    predicateType: short(predicateType, `${path}.predicateType`, MAX_TEXT),
    authorities: bounded(authorities, `${path}.authorities`, 1, MAX_AUTHORITIES).map((one, index) => {
      const place = `${path}.authorities[${index}]`;
      const name = text(one, place);
      if (!known.some(authority => authority.name === name)) throw shape(place, "the name of an authority of the rule");
      return name;
    }),
    minimum: threshold(minimum, `${path}.minimum`, 1),
  };
}

function threshold(value: unknown, path: string, least: number, most = MAX_AUTHORITIES): number {
  if (typeof value !== "number" || !Number.isInteger(value) || value < least || value > most) {
    throw shape(path, `an integer from ${least} to ${most}`);
  }
  return value;
}
