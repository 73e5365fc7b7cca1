import { basename } from "node:path";
import type { Descriptor } from "../oci/descriptor.ts";
import { RegistryError } from "../oci/error.ts";
import { readManifest } from "../oci/manifest.ts";
import { moduleImage, type WrittenLayout } from "../oci/module-image.ts";
import type { ModuleReport } from "../wasm/check.ts";
import type { ProblemCode } from "../wasm/problem.ts";
import { watched } from "./copy.ts";
import type { ImageTarget, TransferWatcher } from "./images.ts";
import { ABI_ANNOTATION } from "./listing.ts";
import { fileReport, refuseUnloadable } from "./module.ts";

export interface PushRequest {
  /** The module's path. */
  readonly file: string;
  readonly layout: WrittenLayout;
  /** None leaves the image without any. */
  readonly rootIds: readonly string[];
  /** Labels for tools that compare them; the layout "cncf" has no place for them. */
  readonly abiVersions: readonly string[];
  readonly annotations: Readonly<Record<string, string>>;
  /** The release of Envoy that is to run the module. */
  readonly envoyVersion: string;
  /** Whether a core module that this Envoy can't load is pushed all the same. */
  readonly unchecked: boolean;
  readonly watcher: TransferWatcher;
  readonly signal: AbortSignal;
}

export interface Pushed {
  readonly descriptor: Descriptor;
  readonly report: ModuleReport;
}

/**
 * Makes an image of a module and gives it to a target, if Envoy can load it: what is found here is found once, at the
 * desk of whoever can mend it, and not by every pod.
 * @throws {ImageError} BadFile, ModuleRefused; {RegistryError}, {StoreError}
 */
export async function pushFile(target: ImageTarget, request: PushRequest): Promise<Pushed> {
  const { file, layout, rootIds, abiVersions, annotations, watcher, signal } = request;
  const report = await reportOf(request);
  const image = await moduleImage({
    module: file,
    name: imageName(file),
    layout,
    annotations,
    ...(rootIds.length > 0 ? { rootIds } : {}),
    ...(abiVersions.length > 0 ? { abiVersions } : {}),
  });
  const { digest } = image.manifest;
  if (target.digest !== null && target.digest !== digest)
    throw new RegistryError("DigestMismatch", `the image's digest is ${digest}, and ${target.name} names another`);
  for (const blob of image.blobs) await target.putBlob(watched(blob, watcher), signal);
  const manifest = readManifest(image.manifest.bytes, image.manifest.mediaType, digest);
  await target.putImage(manifest, abiAnnotation(report), signal);
  return { descriptor: { mediaType: manifest.mediaType, digest, size: manifest.bytes.length }, report };
}

/** What a layout's index says beside an image, so that a list needs to read no module. */
export function abiAnnotation({ abi }: ModuleReport): Readonly<Record<string, string>> {
  return abi === null ? {} : { [ABI_ANNOTATION]: abi };
}

/** Codes of what is no whole core module: no Envoy, now or later, runs it. */
const NO_MODULE: readonly ProblemCode[] = ["NotWasm", "Component", "UnsupportedVersion", "Truncated", "Malformed"];

async function reportOf({ file, envoyVersion, unchecked }: PushRequest): Promise<ModuleReport> {
  const report = await fileReport(file, envoyVersion);
  const hopeless = report.problems.some(({ code }) => NO_MODULE.includes(code));
  if (!unchecked || hopeless) {
    const remedy = hopeless ? "Nothing was pushed." : "Nothing was pushed; --no-check pushes it all the same.";
    refuseUnloadable(file, report, envoyVersion, remedy);
  }
  return report;
}

/** What `oras pull` will call the file: its own name, as far as that may stand in an image. */
function imageName(file: string): string {
  const name = basename(file, ".wasm")
    .replace(/[^A-Za-z0-9._-]/g, "-")
    .slice(0, 120);
  return /^[A-Za-z0-9]/.test(name) ? name : `module-${name}`;
}
