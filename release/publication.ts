import { join } from "node:path";
import { formatReference, parseReference } from "../src/oci/reference.ts";
import { CHECKOUT } from "./checkout.ts";
import { run } from "./command.ts";
import type { Release } from "./release.ts";

export interface Publication {
  /** Where the release is: the folder of `makeRelease`. */
  readonly output: string;
  readonly version: string;
  /** Where to: a reference with a tag. */
  readonly reference: string;
  /** How it is signed, in the flags of `wasmount sign`; none, not at all. */
  readonly signing: readonly string[];
}

/** The commands of wasmount that publish a release, in their order. */
export function publishing(
  { output, version, reference, signing }: Publication,
  release: Release,
): readonly (readonly string[])[] {
  const place = parseReference(reference);
  const at = (digest: string) => formatReference({ ...place, tag: null, digest });
  const signed = signing.length === 0 ? [] : [release.digest, release.sbom, release.provenance];
  return [
    ["copy", "--referrers", `oci:${join(output, "oci")}:${version}`, reference],
    // What is attached is no part of the image's digest: it has signatures of its own.
    ...signed.map(digest => ["sign", at(digest), ...signing]),
  ];
}

/** Publishes: a tag that is there says nothing of signatures, so these come at once behind it. */
export async function publish(publication: Publication, release: Release): Promise<void> {
  for (const args of publishing(publication, release))
    await run(process.execPath, [join(CHECKOUT, "src/cli/main.ts"), ...args], { loud: true });
}
