import { createHash } from "node:crypto";
import { messageOf } from "../error.ts";
import { TrustError } from "./error.ts";
import { type Policy, type PolicyAuthority, policyName } from "./policy.ts";
import { readPublicKey } from "./public-key.ts";
import type { Authority, Identity, Rule } from "./rule.ts";
import { readTrustedRoot } from "./trusted-root.ts";

/** What policies refer to: Secrets and ConfigMaps of the operator's own namespace. Null for what is not there. */
export interface Materials {
  secret(name: string, key: string): string | null;
  configMap(name: string, key: string): string | null;
}

/** Where there is no cluster to look into. */
export const NO_MATERIALS: Materials = { secret: () => null, configMap: () => null };

/** The rule of a policy, with what it refers to read and written out. @throws {TrustError} BadKey, BadTrustRoot */
export function ruleOf(policy: Policy, materials: Materials): Rule {
  const { mode, onRegistryError, reference, module, verify } = policy.spec;
  const name = policyName(policy);
  return {
    policy: name,
    mode,
    onRegistryError,
    requireDigest: reference.requireDigest,
    allowedTagPattern: reference.allowedTagPattern,
    module: { formats: module.formats, maxBytes: module.maxBytes ?? null },
    minimum: verify.minimum,
    authorities: verify.authorities.map(authority => authorityOf(authority, materials, name)),
    source: verify.source?.repository ?? null,
    attestations: verify.attestations.map(({ predicateType, authorities, minimum }) => ({
      predicateType,
      authorities,
      minimum,
    })),
  };
}

/** SHA-256 of rules, 64 hex digits: what a verdict about them is kept under, trust material included. */
export function rulesHash(rules: readonly Rule[]): string {
  const sorted = [...rules].sort((a, b) => (a.policy < b.policy ? -1 : 1));
  return createHash("sha256").update(JSON.stringify(sorted)).digest("hex");
}

function authorityOf(authority: PolicyAuthority, materials: Materials, policy: string): Authority {
  const { name, digests, keyless, key, formats } = authority;
  if (digests !== undefined) return { kind: "digests", name, digests };
  const place = `${policy}: the authority ${name}`;
  const signed = {
    name,
    formats,
    identity: identityOf(authority, place),
    annotations: Object.fromEntries(Object.entries(authority.annotations).sort(([a], [b]) => (a < b ? -1 : 1))),
  };
  if (keyless !== undefined) {
    const { trustedRootRef: from, identities, tlogThreshold, ctlogThreshold } = keyless;
    const where = `${place} refers to ConfigMap ${from.configMap}, key ${from.key}`;
    const trustedRoot = usable("BadTrustRoot", materials.configMap(from.configMap, from.key), where, readTrustedRoot);
    const who = identities.map(({ issuer, subject }) => ({ issuer, subject }));
    return { kind: "keyless", ...signed, trustedRoot, identities: who, tlogThreshold, ctlogThreshold };
  }
  const { pem, secretRef, hash = null } = key ?? {};
  const where = `${place} refers to Secret ${secretRef?.name}, key ${secretRef?.key}`;
  const found = pem ?? (secretRef === undefined ? null : materials.secret(secretRef.name, secretRef.key));
  return { kind: "key", ...signed, pem: usable("BadKey", found, where, text => readPublicKey(text, hash)), hash };
}

function identityOf({ identity, remapPrefix }: PolicyAuthority, place: string): Identity {
  if (identity !== "RemapPrefix") return identity;
  // policy-rules.ts has refused it already, and the type can't say so.
  if (remapPrefix === undefined) throw new TrustError("BadPolicy", `${place} has no remapPrefix`);
  return { from: remapPrefix.from, to: remapPrefix.to };
}

function usable(
  code: "BadKey" | "BadTrustRoot",
  text: string | null,
  where: string,
  read: (text: string) => unknown,
): string {
  if (text === null) throw new TrustError(code, `${where}, and that is not there`);
  try {
    read(text);
    return text;
  } catch (error) {
    throw new TrustError(code, `${where}: ${messageOf(error)}`);
  }
}
