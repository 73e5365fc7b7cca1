import type { Descriptor } from "./descriptor.ts";
import { digestOf, isDigest } from "./digest.ts";
import { RegistryError } from "./error.ts";
import type { RegistryLimits } from "./limits.ts";
import { uploadBytes } from "./push.ts";
import { addReferrer, referrerOf } from "./referrers.ts";
import type { Place, Session } from "./session.ts";

/** Uploads a manifest, and where it has a subject sees to it that the subject's referrers list it. */
export async function uploadManifest(
  session: Session,
  place: Place,
  digestOrTag: string,
  { bytes, mediaType }: { readonly bytes: Buffer; readonly mediaType: string },
  limits: RegistryLimits,
): Promise<Descriptor> {
  const descriptor = { mediaType, digest: digestOf(bytes), size: bytes.length };
  if (isDigest(digestOrTag) && digestOrTag !== descriptor.digest) {
    throw new RegistryError("DigestMismatch", `the manifest's digest is ${descriptor.digest}, not ${digestOrTag}`).at(
      place,
    );
  }
  const referrer = referrerOf(bytes, descriptor);
  const { headers } = await uploadBytes(session, place, `manifests/${digestOrTag}`, bytes, mediaType);
  // The header means that the registry lists referrers by itself.
  if (referrer !== null && headers["oci-subject"] !== referrer.subject) {
    await addReferrer(session, place, referrer.subject, referrer.entry, limits);
  }
  return descriptor;
}
