const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const DAY = 24 * 60 * MINUTE;

/** How long certificates serve, and how patiently they are exchanged. Times in milliseconds. */
export interface CertificateTerms {
  readonly authorityMs: number;
  readonly leafMs: number;
  /** The part of a lifetime after which the next one is made: from then on, a third of it is left to succeed in. */
  readonly renewAt: number;
  /**
   * How much longer than a leaf an authority is trusted that was replaced. Clocks of replicas differ, and a certificate
   * may be signed a moment after its authority was replaced by another replica.
   */
  readonly marginMs: number;
  /**
   * How long the registrations must have named an authority before a replica changes to a leaf of it. API servers learn of
   * a change by a watch, each for itself.
   */
  readonly settleMs: number;
  /** The same for the first leaf of a replica that serves nothing yet: it waits with readiness alone. */
  readonly firstSettleMs: number;
  /** What was applied this long ago by the API server's clock, which may be another one than ours, needs no such wait. */
  readonly knownMs: number;
  /** The longest time from looking at the wall clock to acting upon it. A process that was stopped meanwhile looks anew. */
  readonly hasteMs: number;
  /** Authorities beside the current one. Each of them is some 1,100 bytes, in every entry of the registrations. */
  readonly oldAuthorities: number;
}

/**
 * A year for the authority: its key is in a Secret, so it should not be worth stealing for long, and a rotation is
 * something that a cluster should live through now and then. Thirty days for leaves: their keys never leave a process, and
 * an authority that is replaced has to be trusted for that long; twenty days pass between two of them, ten are left for an
 * API server that can't be asked. cert-manager's webhook has a year and seven days.
 */
export const CERTIFICATE_TERMS: CertificateTerms = {
  authorityMs: 365 * DAY,
  leafMs: 30 * DAY,
  renewAt: 2 / 3,
  marginMs: DAY,
  settleMs: 30 * SECOND,
  firstSettleMs: 5 * SECOND,
  knownMs: 10 * MINUTE,
  hasteMs: MINUTE,
  oldAuthorities: 8,
};

/** From when on a replaced authority is trusted no more: no leaf of it can still be valid. */
export function overlapMs({ leafMs, marginMs }: CertificateTerms): number {
  return leafMs + marginMs;
}
