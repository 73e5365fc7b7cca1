import { setTimeout as sleep } from "node:timers/promises";
import type { CredentialSource } from "./credentials.ts";
import { DEFAULT_RETRY, type RetryPolicy } from "./retry.ts";
import type { Timeouts } from "./transport.ts";

/** How to speak to one registry that the operator named. Others are HTTPS with the public CAs. */
export interface RegistrySettings {
  /** The registry as references spell it, "registry.example:5000". */
  readonly host: string;
  /** Speak HTTP without TLS. */
  readonly plainHttp: boolean;
}

/** In bytes. */
export interface RegistryLimits {
  /** Largest blob, and largest module after decompression. */
  readonly moduleBytes: number;
  /** Largest manifest, index or image config. */
  readonly manifestBytes: number;
}

export interface RegistryClientOptions {
  readonly registries?: readonly RegistrySettings[];
  readonly limits?: Partial<RegistryLimits>;
  readonly credentials?: CredentialSource;
  /** Ends everything the client does: one budget for a whole job. */
  readonly signal?: AbortSignal;
  /** Budget of one operation in milliseconds, retries and the whole body included. */
  readonly deadlineMs?: number;
  readonly timeouts?: Partial<Timeouts>;
  readonly retry?: Partial<RetryPolicy>;
  readonly userAgent?: string;
  readonly maxSockets?: number;
  readonly random?: () => number;
  readonly sleep?: (milliseconds: number, signal: AbortSignal) => Promise<void>;
  /** Milliseconds since the epoch. */
  readonly now?: () => number;
}

const DEFAULT_LIMITS: RegistryLimits = { moduleBytes: 64 * 1024 * 1024, manifestBytes: 4 * 1024 * 1024 };
const DEFAULT_TIMEOUTS: Timeouts = { connectMs: 5_000, idleMs: 15_000 };
const DEFAULT_DEADLINE_MS = 120_000;

export interface CompleteOptions extends Required<Omit<RegistryClientOptions, "signal">> {
  readonly signal: AbortSignal | null;
  readonly limits: RegistryLimits;
  readonly timeouts: Timeouts;
  readonly retry: RetryPolicy;
}

export function completed(options: RegistryClientOptions): CompleteOptions {
  return {
    registries: options.registries ?? [],
    limits: { ...DEFAULT_LIMITS, ...options.limits },
    credentials: options.credentials ?? (() => []),
    signal: options.signal ?? null,
    deadlineMs: options.deadlineMs ?? DEFAULT_DEADLINE_MS,
    timeouts: { ...DEFAULT_TIMEOUTS, ...options.timeouts },
    retry: { ...DEFAULT_RETRY, ...options.retry },
    userAgent: options.userAgent ?? "wasmount",
    maxSockets: options.maxSockets ?? 4,
    random: options.random ?? Math.random,
    sleep: options.sleep ?? ((milliseconds, signal) => sleep(milliseconds, undefined, { signal })),
    now: options.now ?? Date.now,
  };
}
