import { CodedError } from "../error.ts";

/** What can go wrong between us and a registry, or with what a registry holds. */
export type RegistryErrorCode =
  // What the registry answered.
  | "NotFound"
  | "Unauthorized"
  | "Denied"
  | "RateLimited"
  | "Rejected"
  | "Server"
  | "BadResponse"
  | "BadChallenge"
  // What happened on the way.
  | "Timeout"
  | "Cancelled"
  | "Unreachable"
  | "TooManyRedirects"
  | "UnsafeRedirect"
  | "ForbiddenAddress"
  // What was wrong on our side.
  | "BadCredentials"
  | "BadProxy"
  // What was wrong with the content.
  | "TooLarge"
  | "DigestMismatch"
  | "SizeMismatch"
  | "BadManifest"
  | "BadArchive"
  | "UnsupportedLayout"
  | "NotAModule";

export type RegistryOperation =
  | "login"
  | "resolve"
  | "manifest"
  | "blob"
  | "module"
  | "tags"
  | "referrers"
  | "pushBlob"
  | "pushManifest";

export interface RegistryErrorContext {
  /** "registry.example:5000/team/filter", or null where the fault was found in content alone. */
  readonly subject?: string | null;
  readonly registry?: string | null;
  readonly operation?: RegistryOperation | null;
  /** The HTTP status, where the registry answered. */
  readonly status?: number | null;
  /** The registry's own words, cut and cleaned. Not part of the message: a stranger wrote them. */
  readonly detail?: string | null;
  /** How long the registry asked us to wait, in milliseconds. */
  readonly retryAfterMs?: number | null;
  readonly cause?: unknown;
}

/**
 * The one error of this folder. The message is ours from end to end and safe to show to anyone: it holds no secret,
 * no query string and no text that the registry chose.
 */
export class RegistryError extends CodedError<RegistryErrorCode> {
  readonly registry: string | null;
  readonly operation: RegistryOperation | null;
  readonly status: number | null;
  readonly detail: string | null;
  readonly retryAfterMs: number | null;
  readonly #context: RegistryErrorContext;
  readonly #bare: string;

  constructor(code: RegistryErrorCode, message: string, context: RegistryErrorContext = {}) {
    super(code, prefixed(message, context), context.cause === undefined ? undefined : { cause: context.cause });
    this.#context = context;
    this.#bare = message;
    this.registry = context.registry ?? null;
    this.operation = context.operation ?? null;
    this.status = context.status ?? null;
    this.detail = context.detail ?? null;
    this.retryAfterMs = context.retryAfterMs ?? null;
  }

  /** This error with the place where it happened added; what it already knows stays. */
  at(place: Pick<RegistryErrorContext, "registry" | "operation" | "subject">): RegistryError {
    if (this.operation !== null) return this;
    return new RegistryError(this.code, this.#bare, { ...place, ...defined(this.#context), cause: this.cause ?? this });
  }

  /** This error with the failures before it in its message: what else was tried. */
  after(earlier: readonly RegistryError[]): RegistryError {
    if (earlier.length === 0) return this;
    const tried = earlier.map(({ registry, code }) => `${registry}: ${code}`).join(", ");
    return new RegistryError(this.code, `${this.#bare} (tried before: ${tried})`, {
      ...this.#context,
      cause: this.cause ?? this,
    });
  }

  /** This error without the other side's words, for where those may hold a secret of ours: so may those of its cause. */
  withoutDetail(): RegistryError {
    return new RegistryError(this.code, this.#bare, { ...this.#context, detail: null, cause: undefined });
  }
}

const DOING: Readonly<Record<RegistryOperation, string>> = {
  login: "cannot log in to",
  resolve: "cannot resolve",
  manifest: "cannot fetch the manifest of",
  blob: "cannot fetch a blob of",
  module: "cannot use the module of",
  tags: "cannot list the tags of",
  referrers: "cannot list the referrers of",
  pushBlob: "cannot push a blob to",
  pushManifest: "cannot push the manifest to",
};

function prefixed(message: string, context: RegistryErrorContext): string {
  if (!context.operation || !context.subject) return message;
  return `${DOING[context.operation]} ${context.subject}: ${message}`;
}

function defined(context: RegistryErrorContext): RegistryErrorContext {
  return Object.fromEntries(Object.entries(context).filter(([, value]) => value !== undefined && value !== null));
}

/**
 * Text of a stranger, made fit for a terminal or a log line: no control, format or line-separator characters, at most
 * `limit` characters.
 */
export function cleaned(text: string, limit = 300): string {
  const plain = text
    .slice(0, limit * 4)
    .replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}\p{Co}]+/gu, " ")
    .replace(/ {2,}/g, " ")
    .trim();
  return plain.length > limit ? `${plain.slice(0, limit)}…` : plain;
}
