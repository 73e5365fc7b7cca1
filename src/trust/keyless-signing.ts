import { verify, X509Certificate } from "node:crypto";
import { bundleToJSON } from "@sigstore/bundle";
import {
  DEFAULT_FULCIO_URL,
  DEFAULT_REKOR_URL,
  DSSEBundleBuilder,
  FulcioSigner,
  RekorWitness,
  type Signer,
  TSAWitness,
  type Witness,
} from "@sigstore/sign";
import { TrustError } from "./error.ts";
import { within } from "./identity-token.ts";
import { type SignedImage, signatureStatement } from "./signing.ts";
import { PAYLOAD_TYPE } from "./statement.ts";

/** The services of a Sigstore, by their addresses. */
export interface SigstoreServices {
  /** Gives the certificate, and is given the token. Default: the public one. */
  readonly fulcio?: URL;
  /** A transparency log with the API of Rekor 1. Default: the public one. */
  readonly rekor?: URL;
  /** By RFC 3161. Default: none; the log says when it was. */
  readonly timestamp?: URL | null;
}

/** Of one request, and how often one that failed is made again. */
const REQUEST = { timeout: 20_000, retry: { retries: 2, minTimeout: 200, factor: 3 } };

/** What went wrong, by what the library throws (@sigstore/sign, error.ts and external/error.ts). */
interface Fault {
  readonly code?: unknown;
  readonly type?: unknown;
  readonly statusCode?: unknown;
}

/**
 * Signs an image with a key that lives for this one signature, and whose certificate says who held the token: a
 * Sigstore bundle 0.3 with the same statement as `signedBundle` makes, the certificate, and the log's entry. What the
 * services answer is believed no further than it has to be: whoever verifies holds it against a trusted root.
 *
 * No error has anything of the token or of the services' own words: the library's messages repeat both.
 * @param token an OpenID Connect token, as `identityToken` finds it
 * @returns the bytes of a JSON document
 * @throws {TrustError} BadToken where it says of nobody who they are; NotSigned
 */
export async function keylessBundle(
  image: SignedImage,
  token: string,
  services: SigstoreServices,
  signal: AbortSignal,
): Promise<Buffer> {
  const fulcio = services.fulcio ?? new URL(DEFAULT_FULCIO_URL);
  const rekor = services.rekor ?? new URL(DEFAULT_REKOR_URL);
  const identityProvider = { getToken: async () => token };
  const witnesses = [
    logWitness(new RekorWitness({ rekorBaseURL: baseOf(rekor), entryType: "dsse", ...REQUEST }), rekor),
  ];
  if (services.timestamp)
    witnesses.push(
      timeWitness(new TSAWitness({ tsaBaseURL: baseOf(services.timestamp), ...REQUEST }), services.timestamp),
    );
  const builder = new DSSEBundleBuilder({
    signer: certifiedSigner(new FulcioSigner({ fulcioBaseURL: baseOf(fulcio), identityProvider, ...REQUEST }), fulcio),
    witnesses,
  });
  const created = builder.create({ data: signatureStatement(image), type: PAYLOAD_TYPE });
  return Buffer.from(JSON.stringify(bundleToJSON(await within(created, signal))));
}

/** A signer that is sure to have a certificate of the key that signed. */
function certifiedSigner(signer: Signer, url: URL): Signer {
  const service = `the certificate authority (Fulcio, ${url.host})`;
  return {
    sign: async data => {
      const signed = await signer.sign(data).catch(error => {
        throw errorOf(error, service, "a certificate");
      });
      if (signed.key.$case !== "x509Certificate" || !certifies(signed.key.certificate, data, signed.signature))
        throw unusable(service, "a certificate of the key that signed");
      return signed;
    },
  };
}

function certifies(pem: string, data: Buffer, signature: Buffer): boolean {
  try {
    return verify("sha256", data, new X509Certificate(pem).publicKey, signature);
  } catch {
    return false;
  }
}

/** A log that is sure to answer with what bundles 0.3 have to have, and with a time. */
function logWitness(witness: Witness, url: URL): Witness {
  const service = `the transparency log (Rekor, ${url.host})`;
  return {
    testify: async (content, key) => {
      const material = await witness.testify(content, key).catch(error => {
        throw errorOf(error, service, "an entry");
      });
      const complete = material.tlogEntries?.every(entry => entry.inclusionProof && entry.inclusionPromise);
      if (!complete) throw unusable(service, "an entry with proof and promise of inclusion");
      return material;
    },
  };
}

function timeWitness(witness: Witness, url: URL): Witness {
  const service = `the timestamp authority (${url.host})`;
  return {
    testify: (content, key) =>
      witness.testify(content, key).catch(error => {
        throw errorOf(error, service, "a timestamp");
      }),
  };
}

function errorOf(error: unknown, service: string, wanted: string): TrustError {
  const { code, cause = error } = (error ?? {}) as Fault & { readonly cause?: unknown };
  if (code === "IDENTITY_TOKEN_PARSE_ERROR")
    return new TrustError(
      "BadToken",
      "the identity token names no subject, or an e-mail that its issuer did not verify",
    );
  const { statusCode, type, code: system } = (cause ?? {}) as Fault;
  if (typeof statusCode === "number") {
    const hint = statusCode < 500 && wanted === "a certificate" ? TOKEN_HINT : "";
    return new TrustError("NotSigned", `${service} refused ${wanted}: HTTP ${statusCode}${hint}`);
  }
  if (type === "request-timeout" || type === "body-timeout")
    return new TrustError("NotSigned", `${service} did not answer within ${REQUEST.timeout / 1000} s`);
  // Of the system or of TLS, such as ECONNREFUSED: the library's own codes have underscores only.
  if (typeof system === "string" && /^[A-Z][A-Z0-9_]*$/.test(system) && type !== "invalid-json")
    return new TrustError("NotSigned", `${service} can't be reached: ${system}`);
  return unusable(service, wanted);
}

const TOKEN_HINT = ' (is the token expired, for another audience than "sigstore", or of an issuer it does not know?)';

function unusable(service: string, wanted: string): TrustError {
  return new TrustError("NotSigned", `${service} answered with something else than ${wanted}`);
}

/** The library appends paths. */
function baseOf({ href }: URL): string {
  return href.replace(/\/+$/, "");
}
