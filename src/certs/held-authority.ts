import type { Secret, SecretContent } from "../kube/secret.ts";
import type { Authority, AuthorityCertificate, Certificates } from "./certificates.ts";
import type { HeldAuthority } from "./lifecycle.ts";

/** Keys of the authority's Secret. */
const CERTIFICATE = "tls.crt";
const PRIVATE_KEY = "tls.key";
/** Replaced authorities that are still trusted, as PEM blocks. */
const OLD = "old-ca.crt";

/** Until when those count: RFC 3339. */
const OLD_UNTIL = "wasmount.dev/old-ca-until";
/** Put on a Secret that wasmount keeps, whatever its value, it asks for what the Secret holds to be replaced now. */
export const ROTATE = "wasmount.dev/rotate";

/** The authority that a Secret holds, or junk. */
export function readHeldAuthority(
  { data, annotations }: Pick<Secret, "data" | "annotations">,
  { readAuthority, readAuthorities }: Pick<Certificates, "readAuthority" | "readAuthorities">,
): HeldAuthority {
  const [certificate = "", privateKey = ""] = [data[CERTIFICATE], data[PRIVATE_KEY]];
  const current = readAuthority(certificate, privateKey);
  const [readable] = "problem" in current ? readAuthorities(certificate) : [current];
  const until = Date.parse(annotations[OLD_UNTIL] ?? "");
  return {
    current,
    certificate: readable ?? null,
    old: readAuthorities(data[OLD] ?? "").filter(({ id }) => id !== readable?.id),
    oldUntil: Number.isNaN(until) ? null : until,
    rotate: annotations[ROTATE] !== undefined,
  };
}

/** The Secret of an authority and those before it. A wish for another one counts as fulfilled if it is. */
export function authoritySecret(
  authority: Authority,
  old: readonly AuthorityCertificate[],
  oldUntil: number | null,
  isAnother: boolean,
): SecretContent {
  return {
    data: {
      [CERTIFICATE]: authority.pem,
      [PRIVATE_KEY]: authority.privateKey,
      ...(old.length === 0 ? {} : { [OLD]: old.map(({ pem }) => pem).join("") }),
    },
    annotations: {
      [OLD_UNTIL]: oldUntil === null ? null : new Date(oldUntil).toISOString(),
      ...(isAnother ? { [ROTATE]: null } : {}),
    },
  };
}
