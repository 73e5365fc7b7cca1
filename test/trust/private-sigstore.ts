import { createHash, generateKeyPairSync, type KeyObject, sign, verify, X509Certificate } from "node:crypto";
import {
  fulcioHandler,
  initializeCA,
  initializeCTLog,
  initializeTLog,
  initializeTSA,
  rekorHandler,
  tsaHandler,
} from "@sigstore/mock";
import { HashAlgorithm, PublicKeyDetails, TrustedRoot } from "@sigstore/protobuf-specs";
import { preAuthEncoding } from "../../src/trust/bundle.ts";
import type { Signature } from "../../src/trust/evidence.ts";
import { PAYLOAD_TYPE } from "../../src/trust/statement.ts";
import { DIGEST, REPOSITORY } from "./samples.ts";

export const ISSUER = "https://issuer.example";
export const SUBJECT = "https://git.example/team/filters/.github/workflows/release.yml@refs/heads/main";

const REKOR = "https://rekor.example";

export interface SigningOptions {
  readonly issuer?: string;
  readonly subject?: string;
  readonly statement?: object;
  /** When the transparency log says that it was signed. Default: when the certificate was made. */
  readonly logged?: Date;
  /** Names of the logs that it is entered in. */
  readonly logs?: readonly string[];
  /** Whether the certificate is in the certificate log. Default: yes. */
  readonly certificateLogged?: boolean;
  /** Changes the bundle's document. */
  readonly change?: (document: BundleDocument) => void;
  /** What is signed in place of the bundle's payload by the entry of the log. */
  readonly loggedPayload?: Buffer;
}

export interface BundleDocument {
  verificationMaterial: { certificate: { rawBytes: string }; tlogEntries: Record<string, unknown>[] };
  dsseEnvelope: { payload: string; signatures: { sig: string }[] };
}

/** A certificate authority with logs of its own: what an organisation runs that does not use the public one. */
export interface PrivateSigstore {
  /** `trusted_root.json`. */
  readonly trustedRoot: string;
  sign(options?: SigningOptions): Promise<Signature>;
  /** What its services answer to what is posted to them. */
  readonly services: Readonly<Record<ServiceName, (body: string) => Promise<ServiceAnswer>>>;
}

export type ServiceName = "fulcio" | "rekor" | "timestamp";

export interface ServiceAnswer {
  readonly statusCode: number;
  readonly response: string | ArrayBufferView<ArrayBuffer>;
  readonly contentType?: string;
}

/** Certificates are valid for ten minutes. */
const STAMPED_AFTER_S = 240;

/** @param start from when on it is trusted @param made when certificates are made; default: whenever they are asked for */
export async function privateSigstore({
  start = new Date(0),
  made,
}: {
  readonly start?: Date;
  readonly made?: Date;
} = {}): Promise<PrivateSigstore> {
  const pair = () => generateKeyPairSync("ec", { namedCurve: "P-256" });
  const [caKeys, ctKeys] = [generateKeyPairSync("ec", { namedCurve: "P-384" }), pair()];
  const ctlog = await initializeCTLog(ctKeys);
  const ca = await initializeCA(caKeys, ctlog, made);
  const quietCa = await initializeCA(caKeys, undefined, made);
  // Its time stands still, after the beginning of each certificate that a test on a slow machine has made, and before their
  // ends; fractions that end in 0 are written so that nobody reads them.
  const stamped = new Date((Math.ceil(Math.max(made?.getTime() ?? 0, Date.now()) / 1000) + STAMPED_AFTER_S) * 1000);
  const tsa = await initializeTSA(pair(), stamped);
  const logKeys: Record<string, ReturnType<typeof pair>> = { first: pair(), second: pair() };
  return {
    trustedRoot: JSON.stringify(
      TrustedRoot.toJSON({
        mediaType: "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
        certificateAuthorities: [
          {
            subject: { commonName: "private", organization: "private" },
            uri: "https://fulcio.example",
            certChain: { certificates: [{ rawBytes: bytes(ca.rootCertificate) }] },
            validFor: { start },
            operator: "",
          },
        ],
        timestampAuthorities: [
          {
            subject: { commonName: "private", organization: "private" },
            uri: "https://timestamp.example",
            certChain: {
              certificates: [tsa.intCertificate, tsa.rootCertificate].map(one => ({ rawBytes: bytes(one) })),
            },
            validFor: { start },
            operator: "",
          },
        ],
        tlogs: Object.values(logKeys).map(({ publicKey }) => logOf(REKOR, publicKey, start)),
        ctlogs: [logOf("https://ct.example", ctKeys.publicKey, start)],
      }),
    ),
    async sign({
      issuer = ISSUER,
      subject = SUBJECT,
      statement = statementOf(REPOSITORY, DIGEST),
      logged: given,
      logs = ["first"],
      certificateLogged = true,
      change,
      loggedPayload,
    }: SigningOptions = {}) {
      const { publicKey, privateKey } = pair();
      const certificate = await certificateOf(certificateLogged ? ca : quietCa, publicKey, issuer, subject);
      // Not before the certificate, whose time has no fractions of a second either.
      const logged = given ?? made ?? new Date();
      const payload = Buffer.from(JSON.stringify(statement));
      const sig = sign("sha256", preAuthEncoding({ payloadType: PAYLOAD_TYPE, payload }), privateKey).toString(
        "base64",
      );
      const tlogEntries: Record<string, unknown>[] = [];
      for (const [index, log] of logs.entries()) {
        // Entries of one log differ, as they do for who signs twice.
        const body = logBody(loggedPayload ?? payload, sig, certificate, index);
        tlogEntries.push(await entryOf(logKeys[log] ?? pair(), body, new Date(logged.getTime() + index * 1000)));
      }
      const document = {
        mediaType: "application/vnd.dev.sigstore.bundle.v0.3+json",
        verificationMaterial: { certificate: { rawBytes: certificate.toString("base64") }, tlogEntries },
        dsseEnvelope: { payloadType: PAYLOAD_TYPE, payload: payload.toString("base64"), signatures: [{ sig }] },
      };
      change?.(document);
      return { format: "sigstoreBundle", bytes: Buffer.from(JSON.stringify(document)) };
    },
    services: {
      fulcio: body => fulcioHandler(ca).fn(body),
      rekor: async body => {
        const log = await initializeTLog(REKOR, logKeys["first"] ?? pair());
        return rekorHandler(log).fn(JSON.stringify(enteredOf(body)));
      },
      timestamp: body => tsaHandler(tsa).fn(body),
    },
  };
}

/** An identity token as an issuer writes it, but for its signature, which the certificate authority of tests believes. */
export function identityTokenOf(claims: object = { iss: ISSUER, sub: SUBJECT }): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
  return `${part({ alg: "RS256" })}.${part(claims)}.${"c2VjcmV0".repeat(4)}`;
}

/**
 * What Rekor enters for a proposed entry (its pkg/types/dsse/v0.0.1/entry.go, Canonicalize): hashes and signatures, once
 * they are verified. The handler of tests would enter the proposal as it is.
 */
function enteredOf(body: string): object {
  const { envelope, verifiers } = JSON.parse(body).spec.proposedContent;
  const { payload, payloadType, signatures } = JSON.parse(envelope);
  const [verifier] = verifiers;
  const signed = preAuthEncoding({ payloadType, payload: Buffer.from(payload, "base64") });
  const key = new X509Certificate(Buffer.from(verifier, "base64")).publicKey;
  if (!verify("sha256", signed, key, Buffer.from(signatures[0].sig, "base64"))) throw new Error("not its signature");
  const hash = (value: string | Buffer) => ({
    algorithm: "sha256",
    value: createHash("sha256").update(value).digest("hex"),
  });
  return {
    apiVersion: "0.0.1",
    kind: "dsse",
    spec: {
      envelopeHash: hash(envelope),
      payloadHash: hash(Buffer.from(payload, "base64")),
      signatures: [{ signature: signatures[0].sig, verifier }],
    },
  };
}

/** What cosign states of an image that it signs. */
export function statementOf(repository: string, digest: string) {
  const annotations = { "wasmount.dev/repository": repository };
  return {
    _type: "https://in-toto.io/Statement/v1",
    subject: [{ digest: { sha256: digest.slice("sha256:".length) }, annotations }],
    predicateType: "https://sigstore.dev/cosign/sign/v1",
    predicate: {},
  };
}

/** By the handler that answers Fulcio's API, so that the certificate has what Fulcio writes. */
async function certificateOf(
  ca: Parameters<typeof fulcioHandler>[0],
  key: KeyObject,
  iss: string,
  sub: string,
): Promise<Buffer> {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const request = {
    credentials: { oidcIdentityToken: `${part({ alg: "none" })}.${part({ iss, sub })}.` },
    publicKeyRequest: { publicKey: { content: key.export({ type: "spki", format: "pem" }).toString() } },
  };
  const { response } = await fulcioHandler(ca).fn(JSON.stringify(request));
  const [pem = ""] = JSON.parse(String(response)).signedCertificateEmbeddedSct.chain.certificates;
  return Buffer.from(pem.replace(/-----.*-----|\s/g, ""), "base64");
}

/** Rekor's entry of the kind "dsse", version 0.0.1. */
function logBody(payload: Buffer, signature: string, certificate: Buffer, index: number): object {
  const hash = (value: Buffer) => ({ algorithm: "sha256", value: createHash("sha256").update(value).digest("hex") });
  return {
    apiVersion: "0.0.1",
    kind: "dsse",
    spec: {
      envelopeHash: hash(Buffer.from(`${index}`)),
      payloadHash: hash(payload),
      signatures: [{ signature, verifier: certificate.toString("base64") }],
    },
  };
}

async function entryOf(
  keys: { publicKey: KeyObject; privateKey: KeyObject },
  body: object,
  at: Date,
): Promise<Record<string, unknown>> {
  const log = await initializeTLog(REKOR, keys, at);
  const { response } = await rekorHandler(log).fn(JSON.stringify(body));
  const [entry] = Object.values(JSON.parse(String(response))) as {
    body: string;
    integratedTime: number;
    logID: string;
    logIndex: number;
    verification: {
      inclusionProof: { logIndex: number; treeSize: number; rootHash: string; checkpoint: string };
      signedEntryTimestamp: string;
    };
  }[];
  if (entry === undefined) throw new Error("the log made no entry");
  const { inclusionProof: proof, signedEntryTimestamp } = entry.verification;
  return {
    logIndex: String(entry.logIndex),
    logId: { keyId: Buffer.from(entry.logID, "hex").toString("base64") },
    kindVersion: { kind: "dsse", version: "0.0.1" },
    integratedTime: String(entry.integratedTime),
    inclusionPromise: { signedEntryTimestamp },
    inclusionProof: {
      logIndex: String(proof.logIndex),
      rootHash: Buffer.from(proof.rootHash, "hex").toString("base64"),
      treeSize: String(proof.treeSize),
      hashes: [],
      checkpoint: { envelope: proof.checkpoint },
    },
    canonicalizedBody: entry.body,
  };
}

function logOf(baseUrl: string, key: KeyObject, start: Date) {
  const rawBytes = key.export({ type: "spki", format: "der" });
  return {
    baseUrl,
    hashAlgorithm: HashAlgorithm.SHA2_256,
    publicKey: { rawBytes, keyDetails: PublicKeyDetails.PKIX_ECDSA_P256_SHA_256, validFor: { start } },
    logId: { keyId: createHash("sha256").update(rawBytes).digest() },
    checkpointKeyId: undefined,
    operator: "",
  };
}

function bytes({ buffer, byteOffset, byteLength }: ArrayBufferView<ArrayBuffer>): Buffer {
  return Buffer.from(buffer, byteOffset, byteLength);
}
