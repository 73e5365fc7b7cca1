import { CIContextProvider } from "@sigstore/sign";
import { TrustError } from "./error.ts";

/** In bytes. What Fulcio's issuers write has two to four KiB. */
export const MAX_TOKEN = 64 * 1024;

/** Fulcio takes tokens for this audience alone, whoever runs it (sigstore/fulcio, docs/oidc.md). */
const AUDIENCE = "sigstore";
/** The library asks GitHub without any. */
const TIMEOUT_MS = 30_000;
/** RFC 7519: three parts in base64url. Of what stands in them, only Fulcio can say whether it is true. */
const TOKEN = /^[\w-]+\.[\w-]+\.[\w-]+$/;

/** Where a token may come from. The first that is there counts. */
export interface TokenSources {
  /** What a file holds, and how the file is called. */
  readonly file: { readonly name: string; readonly text: string } | null;
  readonly environment: Readonly<Record<string, string | undefined>>;
}

/**
 * The OpenID Connect token that says who signs: of a file, of `SIGSTORE_ID_TOKEN` (which cosign reads, too), or what
 * GitHub Actions gives to a job with `id-token: write`. No message shows anything of it.
 * @throws {TrustError} BadToken; NotSigned where GitHub gives none
 */
export async function identityToken({ file, environment }: TokenSources, signal: AbortSignal): Promise<string> {
  if (file !== null) return checked(file.text, file.name);
  const given = environment["SIGSTORE_ID_TOKEN"];
  if (given) return checked(given, "SIGSTORE_ID_TOKEN");
  if (environment["ACTIONS_ID_TOKEN_REQUEST_URL"] && environment["ACTIONS_ID_TOKEN_REQUEST_TOKEN"])
    return await tokenOfJob(signal);
  throw new TrustError(
    "BadToken",
    "no identity token is at hand: give one by --identity-token-file FILE, by the environment (SIGSTORE_ID_TOKEN), or " +
      "run in a job of GitHub Actions with the permission id-token: write",
  );
}

/** The library reads the process's own environment. */
async function tokenOfJob(signal: AbortSignal): Promise<string> {
  let token: unknown;
  try {
    token = await within(
      new CIContextProvider(AUDIENCE).getToken(),
      AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]),
    );
  } catch {
    signal.throwIfAborted();
  }
  // What GitHub refuses is JSON without a token.
  if (typeof token !== "string") throw new TrustError("NotSigned", "GitHub Actions gave no identity token");
  return checked(token, "what GitHub Actions gave");
}

function checked(text: string, where: string): string {
  const token = text.trim();
  if (token.length > MAX_TOKEN) throw new TrustError("BadToken", `${where} has more than ${MAX_TOKEN} bytes`);
  if (!TOKEN.test(token)) throw new TrustError("BadToken", `${where} holds no identity token (a JSON Web Token)`);
  return token;
}

/** What comes of a promise, unless the signal comes first: the library's requests take none. */
export async function within<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted();
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const abort = () => reject(signal.reason);
  signal.addEventListener("abort", abort, { once: true });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener("abort", abort);
  }
}
