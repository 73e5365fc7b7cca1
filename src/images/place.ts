import { parseReference, type Reference } from "../oci/reference.ts";
import { ImageError } from "./error.ts";

/** Where an image is, or is to be. */
export type Place =
  | { readonly kind: "registry"; readonly reference: Reference }
  /** The local store. */
  | { readonly kind: "store"; readonly reference: Reference }
  /** A folder in the form of an OCI image layout. The name is that of index.json, or a digest; null is its only image. */
  | { readonly kind: "folder"; readonly path: string; readonly name: string | null }
  /** Such a folder as a tar file. */
  | { readonly kind: "archive"; readonly path: string; readonly name: string | null };

/** What `--help` says of the spellings. */
export const PLACES = `  registry.example/team/filter:1.0   an image in a registry (oci://… means the same)
  store:registry.example/team/filter:1.0   the one in the local store
  oci:FOLDER[:TAG]                   one in a folder in the form of an OCI image layout
  oci-archive:FILE[:TAG]             one in such a folder as a tar file`;

/**
 * Reads where an image is. Layouts are spelled as skopeo and podman spell them: one argument says it all, for each side
 * of a copy. "oci://" alone starts a reference, as it does for Helm and Istio.
 * @throws {ImageError} BadPlace; {ImageReferenceError}
 */
export function parsePlace(text: string): Place {
  if (text.startsWith("store:")) return { kind: "store", reference: parseReference(text.slice("store:".length)) };
  if (text.startsWith("oci-archive:")) return { kind: "archive", ...readPath(text, "oci-archive:") };
  if (text.startsWith("oci:") && !text.startsWith("oci://")) return { kind: "folder", ...readPath(text, "oci:") };
  return { kind: "registry", reference: parseReference(text) };
}

/** A registry as a whole. @throws {ImageError} BadPlace */
export function registryPlace(text: string): Extract<Place, { kind: "registry" }> {
  const any = "any";
  const reference = parseReference(`${text}/${any}`);
  // Without a dot or a port it would be a user's name at Docker Hub.
  const hub = reference.registry === "docker.io" && reference.repository === `library/${any}`;
  if (!hub && reference.repository !== any)
    throw new ImageError(
      "BadPlace",
      `${JSON.stringify(text)} is no registry; write its host, with a dot or a port in it`,
    );
  return { kind: "registry", reference };
}

/** Whether an argument is spelled as a file: a path, or a name that ends in ".wasm". No look at the disk decides. */
export function namesFile(text: string): boolean {
  return /^\.{0,2}\//.test(text) || (text.endsWith(".wasm") && !text.includes(":"));
}

/** The name of an image with its digest, which decides from now on. */
export function pinned(name: string, digest: string): string {
  return name.includes("@") ? name : `${name}@${digest}`;
}

function readPath(text: string, scheme: string): { readonly path: string; readonly name: string | null } {
  const rest = text.slice(scheme.length);
  const [, path = "", name = ""] = /^([^:@]*)(?::(.*)|@(.*))?$/s.exec(rest.replace("@sha256:", ":sha256:")) ?? [];
  const tagged = rest.length > path.length;
  if (path === "" || path.includes("\0") || (tagged && name === ""))
    throw new ImageError("BadPlace", `${JSON.stringify(text)} is no place of an image; write ${scheme}PATH[:TAG]`);
  return { path, name: tagged ? name : null };
}
