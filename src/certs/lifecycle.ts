import type { Authority, AuthorityCertificate, Leaf } from "./certificates.ts";
import { type CertificateTerms, overlapMs } from "./terms.ts";

/**
 * Until when replaced authorities are trusted: a time in milliseconds since 1970, null where it is not said, or "over" where
 * they are about to be forgotten. First the registrations lose them, and then the Secret: so one that is in a registration and
 * not in the Secret is never one that was dropped, but one whose trace was lost.
 */
export type OldUntil = number | "over" | null;

/** The authority as its Secret holds it. */
export interface HeldAuthority {
  /** What signs, or why it can't. */
  readonly current: Authority | { readonly problem: string };
  /** The current one's certificate, where that much can be read. */
  readonly certificate: AuthorityCertificate | null;
  /** Replaced ones that are still trusted. */
  readonly old: readonly AuthorityCertificate[];
  /** Until when those are trusted. */
  readonly oldUntil: OldUntil;
  /** Whether somebody asks for another authority. */
  readonly rotate: boolean;
}

/** A registration as the API server has it. */
export interface ObservedRegistration {
  readonly entries: readonly ObservedEntry[];
}

export interface ObservedEntry {
  readonly name: string;
  /** Decoded, "" for none. */
  readonly bundle: string;
  /** The authorities in it. */
  readonly authorities: readonly AuthorityCertificate[];
}

/**
 * What a replica knows when it decides what to do. The registrations were read before the Secret: an authority that is in
 * them was in the Secret earlier, or is somebody else's.
 */
export interface Facts<Registration extends ObservedRegistration = ObservedRegistration> {
  /** Wall clock, before anything was read. */
  readonly now: number;
  readonly registrations: readonly Registration[];
  /** Null where there is no Secret. */
  readonly secret: HeldAuthority | null;
  /** What this replica serves. */
  readonly leaf: Leaf | null;
  /** For how long the registrations are known to name the current authority everywhere. */
  readonly trustedMs: number;
}

/** Why the Secret is written. */
export type WriteReason = "Missing" | "Unusable" | "Due" | "Requested" | "Adopted" | "Dated" | "Over" | "Dropped";

export type Step<Registration extends ObservedRegistration = ObservedRegistration> =
  /** Sign a leaf with the current authority, and serve it. */
  | { readonly kind: "sign"; readonly authority: Authority }
  /** Write the Secret, with another authority where `authority` is null. */
  | {
      readonly kind: "write";
      readonly reason: WriteReason;
      readonly authority: Authority | null;
      readonly old: readonly AuthorityCertificate[];
      readonly oldUntil: OldUntil;
      /** What was found. */
      readonly detail: string;
    }
  /** Have a registration's entries trust these authorities. */
  | { readonly kind: "apply"; readonly registration: Registration; readonly bundle: string }
  /** API servers are given time to learn of what was applied. */
  | { readonly kind: "settle"; readonly waitMs: number }
  | { readonly kind: "rest" };

/**
 * The next thing to do, one at a time: after it, everything is read and looked at anew. The order keeps what serves
 * serving: a leaf's renewal waits for no write, an authority is in the registrations before anything is signed with it, and
 * one that may have signed what a replica serves leaves them last.
 */
export function nextStep<Registration extends ObservedRegistration>(
  facts: Facts<Registration>,
  terms: CertificateTerms,
): Step<Registration> {
  const { secret, registrations } = facts;
  if (secret === null) return newAuthority(facts, terms, "Missing", "there is none");
  const current = usable(secret, facts.now);
  if ("problem" in current) return newAuthority(facts, terms, "Unusable", current.problem);
  const isTrusted = isEverywhere(current, registrations);
  const wants = leafWanted(facts, current, terms);
  if (isTrusted && wants === "now") return { kind: "sign", authority: current };
  return (
    write(facts, secret, current, isTrusted, terms) ??
    apply(registrations, bundleOf(current, secret)) ??
    (isTrusted && (wants === "settled" || secret.rotate)
      ? { kind: "settle", waitMs: terms.settleMs - facts.trustedMs }
      : { kind: "rest" })
  );
}

/** Whether every entry there is names an authority. Where there is none, nobody calls, and nobody is let down. */
export function isEverywhere(
  { id }: Pick<AuthorityCertificate, "id">,
  registrations: readonly ObservedRegistration[],
): boolean {
  return registrations.every(({ entries }) => entries.every(entry => entry.authorities.some(one => one.id === id)));
}

function usable({ current }: HeldAuthority, now: number): Authority | { readonly problem: string } {
  if ("problem" in current) return current;
  if (current.notAfter <= now) return { problem: `it ended ${dateOf(current.notAfter)}` };
  if (current.notBefore > now)
    return { problem: `it begins ${dateOf(current.notBefore)}, by this machine's clock later` };
  return current;
}

function leafWanted(
  { leaf, now, trustedMs, registrations }: Facts,
  current: Authority,
  terms: CertificateTerms,
): "no" | "now" | "settled" {
  // A clock that was put back makes of a good certificate one of the future.
  if (leaf === null || leaf.notAfter <= now || leaf.notBefore > now) return "now";
  // Whose authority was taken out of the registrations has nothing to lose.
  if (!isEverywhere(leaf.issuer, registrations)) return "now";
  if (leaf.issuer.id !== current.id) return trustedMs >= terms.settleMs ? "now" : "settled";
  return isDue(leaf, now, terms) ? "now" : "no";
}

function isDue({ notBefore, notAfter }: Pick<Leaf, "notBefore" | "notAfter">, now: number, terms: CertificateTerms) {
  return now >= notBefore + (notAfter - notBefore) * terms.renewAt;
}

function newAuthority(facts: Facts, terms: CertificateTerms, reason: WriteReason, detail: string): Step<never> {
  const { secret, now } = facts;
  const before = secret?.certificate ? [secret.certificate] : [];
  const old = trustworthy([...before, ...(secret?.old ?? []), ...inUse(facts)], now, terms);
  return { kind: "write", reason, authority: null, old, oldUntil: untilOf(old, now, terms), detail };
}

/** What is to change in a Secret whose authority can sign; null where nothing is. */
function write(
  facts: Facts,
  held: HeldAuthority,
  current: Authority,
  isTrusted: boolean,
  terms: CertificateTerms,
): Step<never> | null {
  if (isDue(current, facts.now, terms)) {
    return newAuthority(facts, terms, "Due", `it ends ${dateOf(current.notAfter)}`);
  }
  const hasChanged = isTrusted && facts.leaf?.issuer.id === current.id;
  // One after the other: whoever asks ten times is to have one that serves in between, at every replica.
  if (held.rotate && hasChanged && facts.trustedMs >= terms.settleMs)
    return newAuthority(facts, terms, "Requested", "the Secret asks for it");
  return adopt(facts, held, current, terms) ?? retire(facts, held, current, hasChanged, terms);
}

/**
 * Authorities that the Secret says nothing of, after it was deleted or put back, or the registrations were somebody else's:
 * leaves of theirs may be served. What the registrations trust is all that is known of them.
 */
function adopt(facts: Facts, { old }: HeldAuthority, current: Authority, terms: CertificateTerms): Step<never> | null {
  const known = new Set([current.id, ...old.map(({ id }) => id)]);
  const found = inUse(facts).filter(({ id }) => !known.has(id));
  const all = trustworthy([...found, ...old], facts.now, terms);
  const more = all.filter(({ id }) => !known.has(id)).length;
  if (more === 0) return null;
  const oldUntil = untilOf(all, facts.now, terms);
  const detail = `${more} that were trusted until now`;
  return { kind: "write", reason: "Adopted", authority: current, old: all, oldUntil, detail };
}

/** Replaced authorities have an end, and at the end they go. */
function retire(
  facts: Facts,
  { old, oldUntil }: HeldAuthority,
  authority: Authority,
  hasChanged: boolean,
  terms: CertificateTerms,
): Step<never> | null {
  if (old.length === 0) return null;
  const { now } = facts;
  const kept = { kind: "write", authority, old } as const;
  if (oldUntil === "over") {
    const trusted = new Set(inUse(facts).map(({ id }) => id));
    if (old.some(({ id }) => trusted.has(id))) return null;
    return { ...kept, reason: "Dropped", old: [], oldUntil: null, detail: "nobody trusts them any more" };
  }
  if (oldUntil === null || oldUntil > now + overlapMs(terms) + terms.marginMs) {
    const detail = oldUntil === null ? "it was not said until when" : `until ${dateOf(oldUntil)} was too long`;
    return { ...kept, reason: "Dated", oldUntil: untilOf(old, now, terms), detail };
  }
  if (oldUntil > now || !hasChanged) return null;
  return { ...kept, reason: "Over", oldUntil: "over", detail: `since ${dateOf(oldUntil)}` };
}

/** The authorities whose leaves are served, as far as can be known: this replica's, and those that API servers trust. */
function inUse({ leaf, now, registrations }: Facts): readonly AuthorityCertificate[] {
  const own = leaf === null || leaf.notAfter <= now ? [] : [leaf.issuer];
  return [...own, ...registrations.flatMap(({ entries }) => entries.flatMap(({ authorities }) => authorities))];
}

/** Those that are valid now, each once, the newest where there are too many. */
function trustworthy(
  authorities: readonly AuthorityCertificate[],
  now: number,
  { oldAuthorities }: CertificateTerms,
): readonly AuthorityCertificate[] {
  const distinct = new Map(authorities.map(authority => [authority.id, authority]));
  return [...distinct.values()]
    .filter(({ notBefore, notAfter }) => notBefore <= now && now < notAfter)
    .sort((one, other) => other.notBefore - one.notBefore || (one.id < other.id ? -1 : 1))
    .slice(0, oldAuthorities);
}

function untilOf(old: readonly AuthorityCertificate[], now: number, terms: CertificateTerms): number | null {
  return old.length === 0 ? null : now + overlapMs(terms);
}

function bundleOf(current: Authority, { old, oldUntil }: HeldAuthority): string {
  return [current, ...(oldUntil === "over" ? [] : old)].map(({ pem }) => pem).join("");
}

function apply<Registration extends ObservedRegistration>(
  registrations: readonly Registration[],
  bundle: string,
): Step<Registration> | null {
  const registration = registrations.find(({ entries }) => entries.some(entry => entry.bundle !== bundle));
  return registration === undefined ? null : { kind: "apply", registration, bundle };
}

function dateOf(time: number): string {
  return new Date(time).toISOString();
}
