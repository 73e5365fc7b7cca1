import { members } from "./watched-kind.ts";

/** A Lease (coordination.k8s.io/v1) as it was read, with what an election needs to know of it. */
export interface Lease {
  /** The whole object: what others wrote into it stays when it is written back. */
  readonly object: Readonly<Record<string, unknown>>;
  /** Who holds it; "" where nobody does. */
  readonly holder: string;
  /** For how long after a renewal it is held, in milliseconds. */
  readonly durationMs: number;
  /** How often it went to another holder. */
  readonly transitions: number;
  /** Whatever changes with a renewal, as text. */
  readonly content: string;
}

/** Which Lease. */
export interface LeasePlace {
  readonly namespace: string;
  readonly name: string;
}

/** What is written by whom takes the Lease or renews it. Times in milliseconds since 1970: others' clocks, for people. */
export interface LeaseHolding {
  readonly holder: string;
  readonly durationMs: number;
  readonly renewedAt: number;
  /** null leaves the time of a holding that goes on. */
  readonly acquiredAt: number | null;
}

/** Longer than this nobody's word holds: a Lease that was edited by hand must not stop elections for years. */
const MAX_DURATION_MS = 600_000;
const HOLDER_LENGTH = 253;

export function leaseCollection(namespace: string): string {
  return `/apis/coordination.k8s.io/v1/namespaces/${encodeURIComponent(namespace)}/leases`;
}

/**
 * @param unknownMs how long a Lease is held that does not say so
 * @throws KubeError Malformed
 */
export function readLease(value: unknown, unknownMs: number): Lease {
  const object = members(value, "a Lease");
  const spec = members(object["spec"] ?? {}, "a Lease's spec");
  const { holderIdentity, leaseDurationSeconds, leaseTransitions } = spec as Readonly<Record<string, unknown>>;
  return {
    object,
    holder: typeof holderIdentity === "string" ? holderIdentity : "",
    durationMs: isCount(leaseDurationSeconds) ? Math.min(leaseDurationSeconds * 1000, MAX_DURATION_MS) : unknownMs,
    transitions: isCount(leaseTransitions) ? leaseTransitions : 0,
    content: JSON.stringify(spec),
  };
}

/** A Lease that does not exist yet. */
export function newLease({ name, namespace }: LeasePlace, holding: LeaseHolding): object {
  return {
    apiVersion: "coordination.k8s.io/v1",
    kind: "Lease",
    metadata: { name, namespace },
    spec: { ...specOf(holding), leaseTransitions: 0 },
  };
}

/** The same Lease, held anew. Its resourceVersion goes with it, so that of two writers one is refused. */
export function heldLease({ object, holder, transitions }: Lease, holding: LeaseHolding): object {
  const spec = (object["spec"] ?? {}) as Readonly<Record<string, unknown>>;
  const passes = holder !== holding.holder && holding.holder !== "" ? 1 : 0;
  return { ...object, spec: { ...spec, ...specOf(holding), leaseTransitions: transitions + passes } };
}

function specOf({ holder, durationMs, renewedAt, acquiredAt }: LeaseHolding) {
  return {
    holderIdentity: holder.slice(0, HOLDER_LENGTH),
    leaseDurationSeconds: Math.ceil(durationMs / 1000),
    renewTime: microTime(renewedAt),
    ...(acquiredAt === null ? {} : { acquireTime: microTime(acquiredAt) }),
  };
}

function isCount(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value > 0;
}

/** A MicroTime: RFC 3339 with six digits. */
function microTime(time: number): string {
  return new Date(time).toISOString().replace("Z", "000Z");
}
