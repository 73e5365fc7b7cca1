import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import { isIP } from "node:net";
import type { Duplex } from "node:stream";
import { connect } from "node:tls";
import { certificateBlocks } from "../certs/pem.ts";
import { messageOf } from "../error.ts";
import { DiagnosisError } from "./error.ts";

const HANDSHAKE_MS = 10_000;
const MAX_CERTIFICATES = 64;

/** What a TLS server shows, and what a client with these authorities makes of it. */
export interface ServedCertificate {
  readonly certificate: X509Certificate;
  /** OpenSSL's or Node's code for why it is not trusted under this name, else null: "CERT_HAS_EXPIRED". */
  readonly problem: string | null;
}

/** The certificates of a PEM text; none where it can't be read. */
export function certificatesOf(pem: string): readonly X509Certificate[] {
  try {
    return certificateBlocks(pem)
      .slice(0, MAX_CERTIFICATES)
      .map(text => new X509Certificate(text));
  } catch {
    return [];
  }
}

/**
 * Shakes hands as an API server does, which trusts the authorities of a caBundle and nobody else. Nothing is sent.
 * @param name that the certificate must be for
 * @throws DiagnosisError Unreachable where the other side speaks no TLS
 */
export async function servedCertificate(
  connection: Duplex,
  authorities: readonly X509Certificate[],
  name: string,
): Promise<ServedCertificate> {
  const socket = connect({
    socket: connection,
    ca: authorities.map(String),
    // Names of hosts only (RFC 6066); an address is compared all the same.
    ...(isIP(name) ? { host: name } : { servername: name }),
    rejectUnauthorized: false,
  });
  // A webhook that asks for a client certificate ends the connection when it has seen that there is none.
  socket.on("error", () => {});
  try {
    await once(socket, "secureConnect", { signal: AbortSignal.timeout(HANDSHAKE_MS) });
    const raw = socket.getPeerX509Certificate();
    if (raw === undefined) throw new Error("no certificate was shown");
    const error = socket.authorizationError as (Error & { readonly code?: string }) | string | undefined;
    const problem = socket.authorized ? null : String((error as { readonly code?: string } | null)?.code ?? error);
    return { certificate: raw, problem };
  } catch (error) {
    throw new DiagnosisError("Unreachable", `no TLS handshake: ${messageOf(error)}`, { cause: error });
  } finally {
    socket.destroy();
    connection.destroy();
  }
}
