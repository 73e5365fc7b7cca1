import type { Secret, SecretContent } from "../kube/secret.ts";
import type { Authority, AuthorityCertificate, Certificates } from "./certificates.ts";
import type { HeldAuthority, OldUntil } from "./lifecycle.ts";

/** Keys of the authority's Secret. */
const CERTIFICATE = "tls.crt";
const PRIVATE_KEY = "tls.key";
/** Replaced authorities that are still trusted, as PEM blocks. */
const OLD = "old-ca.crt";

/** Until when those count: RFC 3339, or {@link OVER}. */
const OLD_UNTIL = "wasmount.dev/old-ca-until";
const OVER = "over";
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
  return {
    current,
    certificate: readable ?? null,
    old: readAuthorities(data[OLD] ?? "").filter(({ id }) => id !== readable?.id),
    oldUntil: readUntil(annotations[OLD_UNTIL]),
    rotate: annotations[ROTATE] !== undefined,
  };
}

function readUntil(text = ""): OldUntil {
  if (text === OVER) return OVER;
  const time = Date.parse(text);
  return Number.isNaN(time) ? null : time;
}

/** The Secret of an authority and those before it. A wish for another one counts as fulfilled if it is. */
export function authoritySecret(
  authority: Authority,
  old: readonly AuthorityCertificate[],
  oldUntil: OldUntil,
  isAnother: boolean,
): SecretContent {
  return {
    data: {
      [CERTIFICATE]: authority.pem,
      [PRIVATE_KEY]: authority.privateKey,
      ...(old.length === 0 ? {} : { [OLD]: old.map(({ pem }) => pem).join("") }),
    },
    annotations: {
      [OLD_UNTIL]: typeof oldUntil === "number" ? new Date(oldUntil).toISOString() : oldUntil,
      ...(isAnother ? { [ROTATE]: null } : {}),
    },
  };
}
