import type { PrivateAddresses } from "./address.ts";
import type { TlsSettings } from "./connections.ts";
import type { CredentialSource } from "./credentials.ts";
import { DEFAULT_LIMITS, type RegistryLimits } from "./limits.ts";
import type { MirrorSettings } from "./mirror.ts";
import type { ProxySettings } from "./proxy.ts";
import { DEFAULT_RETRY, type RetryPolicy } from "./retry.ts";
import type { Timeouts } from "./transport.ts";

/**
 * How to speak to one registry that the operator named. Others are HTTPS with the public CAs, without mirrors, and at
 * public addresses where private ones are not allowed.
 */
export interface RegistrySettings extends TlsSettings {
  /** The registry as references spell it, "registry.example:5000". */
  readonly host: string;
  /** Speak HTTP without TLS. */
  readonly plainHttp: boolean;
  /** Asked first, in this order, and by these settings of their own: what is said here is of the registry alone. */
  readonly mirrors?: readonly MirrorSettings[] | undefined;
}

/** How blobs are uploaded. In bytes. */
export interface UploadSizes {
  /** Largest blob that is sent in one piece. */
  readonly wholeBytes: number;
  /** One piece of a larger blob: held in memory, and what is lost when a connection breaks. */
  readonly chunkBytes: number;
}

export interface RegistryClientOptions {
  readonly registries?: readonly RegistrySettings[];
  readonly limits?: Partial<RegistryLimits>;
  readonly uploads?: Partial<UploadSizes>;
  readonly credentials?: CredentialSource;
  /** Ends everything the client does: one budget for a whole job. */
  readonly signal?: AbortSignal;
  /** Budget of one operation in milliseconds, retries and the whole body included. */
  readonly deadlineMs?: number;
  readonly timeouts?: Partial<Timeouts>;
  readonly retry?: Partial<RetryPolicy>;
  readonly userAgent?: string;
  /** Whether hosts that are not among the registries may have private addresses. Default: Allow. */
  readonly privateAddresses?: PrivateAddresses;
  readonly proxy?: ProxySettings | null;
  readonly random?: () => number;
  readonly sleep?: (milliseconds: number, signal: AbortSignal) => Promise<void>;
  /** Milliseconds since the epoch. */
  readonly now?: () => number;
}

const DEFAULT_UPLOADS: UploadSizes = { wholeBytes: 32 * 1024 * 1024, chunkBytes: 8 * 1024 * 1024 };
const DEFAULT_TIMEOUTS: Timeouts = { connectMs: 5_000, idleMs: 15_000 };
const DEFAULT_DEADLINE_MS = 120_000;

export interface CompleteOptions extends Required<Omit<RegistryClientOptions, "signal">> {
  readonly signal: AbortSignal | null;
  readonly limits: RegistryLimits;
  readonly uploads: UploadSizes;
  readonly timeouts: Timeouts;
  readonly retry: RetryPolicy;
}

/** Node's module is loaded by whoever has to wait: a fetcher seldom has. */
async function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  const { setTimeout: sleep } = await import("node:timers/promises");
  await sleep(milliseconds, undefined, { signal });
}

export function completed(options: RegistryClientOptions): CompleteOptions {
  return {
    registries: options.registries ?? [],
    limits: { ...DEFAULT_LIMITS, ...options.limits },
    uploads: { ...DEFAULT_UPLOADS, ...options.uploads },
    credentials: options.credentials ?? (() => []),
    signal: options.signal ?? null,
    deadlineMs: options.deadlineMs ?? DEFAULT_DEADLINE_MS,
    timeouts: { ...DEFAULT_TIMEOUTS, ...options.timeouts },
    retry: { ...DEFAULT_RETRY, ...options.retry },
    userAgent: options.userAgent ?? "wasmount",
    privateAddresses: options.privateAddresses ?? "Allow",
    proxy: options.proxy ?? null,
    random: options.random ?? Math.random,
    sleep: options.sleep ?? pause,
    now: options.now ?? Date.now,
  };
}
