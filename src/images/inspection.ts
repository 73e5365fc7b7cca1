import { join } from "node:path";
import type { Descriptor, Platform } from "../oci/descriptor.ts";
import { RegistryError } from "../oci/error.ts";
import { selectManifest } from "../oci/index-selection.ts";
import type { FetchedManifest } from "../oci/manifest.ts";
import { NewFile } from "../store/new-file.ts";
import type { ModuleReport } from "../wasm/check.ts";
import type { Attachment, ImageSource } from "./images.ts";
import { CHOICE_REMEDY, type CheckedModule, type ModuleOptions, readModule } from "./module.ts";

/** What an image is. */
export interface Inspection {
  readonly name: string;
  /** Of the manifest or index that the name stands for. */
  readonly digest: string;
  readonly mediaType: string;
  /** What an index lists; null for an image. */
  readonly index: readonly ListedManifest[] | null;
  /** The image itself; null where the index leaves a choice. */
  readonly manifest: InspectedManifest | null;
  readonly module: InspectedModule | null;
  /** Why there is no manifest or no module to tell of. */
  readonly problem: string | null;
  /** What is there of signatures and the like, or null. That says nothing of who made it, or whether it is good. */
  readonly attachments: readonly InspectedAttachment[] | null;
  /** Why nothing can be told of attachments. */
  readonly attachmentsProblem: string | null;
}

export interface ListedManifest {
  readonly digest: string;
  readonly mediaType: string;
  readonly size: number;
  readonly platform: Platform | null;
  /** Whether it is the one that wasmount takes. */
  readonly selected: boolean;
}

export interface InspectedManifest {
  readonly digest: string;
  readonly mediaType: string;
  readonly artifactType: string | null;
  readonly config: Descriptor;
  readonly layers: readonly Descriptor[];
  readonly annotations: Readonly<Record<string, string>>;
  /** Of config and layers, in bytes. */
  readonly size: number;
}

export interface InspectedModule {
  readonly layout: string;
  readonly layerDigest: string;
  readonly sha256: string;
  readonly size: number;
  readonly abi: string | null;
  readonly rootIds: readonly string[];
  /** Names of imported functions and the like, by the module that they are asked of. */
  readonly imports: Readonly<Record<string, readonly string[]>>;
  readonly problems: ModuleReport["problems"];
  /** Whether the Envoy release asked about can load it. */
  readonly ok: boolean;
}

export interface InspectedAttachment {
  readonly kind: string;
  readonly artifactType: string | null;
  readonly digest: string;
  readonly tag: string | null;
}

export interface InspectRequest extends ModuleOptions {
  /** A folder for the module on its way. */
  readonly temporary: string;
}

/** Says what an image is, module included. @throws {RegistryError}, {StoreError} where the image can't be read */
export async function inspectImage(source: ImageSource, request: InspectRequest): Promise<Inspection> {
  const { signal } = request;
  const { digest } = await source.find(signal);
  const top = await source.manifest(digest, signal);
  const { image, selected, problem } = await imageOf(source, top, request);
  const module = image === null ? null : await moduleOf(source, digest, request);
  const attachments = await attachmentsOf(source, [digest, ...(image === null ? [] : [image.digest])], signal);
  return {
    name: source.name,
    digest,
    mediaType: top.mediaType,
    index: top.manifest.kind === "index" ? listed(top.manifest.manifests, selected) : null,
    manifest: image === null ? null : manifestOf(image),
    module: typeof module === "string" ? null : module,
    problem: typeof module === "string" ? module : problem,
    attachments: typeof attachments === "string" ? null : attachments,
    attachmentsProblem: typeof attachments === "string" ? attachments : null,
  };
}

interface Selection {
  readonly image: FetchedManifest | null;
  readonly selected: string | null;
  readonly problem: string | null;
}

/** Follows an index, and one in it, to the image that wasmount takes. */
async function imageOf(
  source: ImageSource,
  top: FetchedManifest,
  { platform, signal }: InspectRequest,
): Promise<Selection> {
  let [found, selected]: [FetchedManifest, string | null] = [top, null];
  try {
    for (let depth = 0; found.manifest.kind === "index"; depth += 1) {
      if (depth === MAX_DEPTH)
        return { image: null, selected, problem: `indexes are nested more than ${MAX_DEPTH} deep` };
      const { digest } = selectManifest(found.manifest, platform ?? null, CHOICE_REMEDY);
      selected ??= digest;
      found = await source.manifest(digest, signal);
    }
    return { image: found, selected, problem: null };
  } catch (error) {
    if (error instanceof RegistryError && error.code === "UnsupportedLayout")
      return { image: null, selected, problem: error.message };
    throw error;
  }
}

const MAX_DEPTH = 3;

/** The module, or why it is none: an image of something else can be looked at, too. */
async function moduleOf(
  source: ImageSource,
  digest: string,
  request: InspectRequest,
): Promise<InspectedModule | string> {
  const file = await NewFile.create(join(request.temporary, "module.wasm"), "replace");
  try {
    return described(await readModule(source, digest, file, request));
  } catch (error) {
    const content = ["UnsupportedLayout", "NotAModule", "BadArchive", "BadManifest", "TooLarge"];
    if (error instanceof RegistryError && content.includes(error.code)) return error.message;
    throw error;
  } finally {
    await file.discard();
  }
}

function described({ report, ...module }: CheckedModule): InspectedModule {
  const imports = new Map<string, string[]>();
  for (const { module: from, name } of report.imports) imports.set(from, [...(imports.get(from) ?? []), name]);
  return {
    layout: module.layout,
    layerDigest: module.layerDigest,
    sha256: module.moduleSha256,
    size: module.moduleSize,
    abi: report.abi,
    rootIds: module.rootIds,
    imports: Object.fromEntries(imports),
    problems: report.problems,
    ok: report.ok,
  };
}

function manifestOf({ digest, mediaType, manifest }: FetchedManifest): InspectedManifest | null {
  if (manifest.kind !== "image") return null;
  const { artifactType, config, layers, annotations } = manifest;
  const size = [config, ...layers].reduce((sum, blob) => sum + blob.size, 0);
  return { digest, mediaType, artifactType, config, layers, annotations, size };
}

function listed(manifests: readonly Descriptor[], selected: string | null): readonly ListedManifest[] {
  return manifests.map(({ digest, mediaType, size, platform }) => ({
    digest,
    mediaType,
    size,
    platform: platform ?? null,
    selected: digest === selected,
  }));
}

/** What is attached, or why that can't be told: who may read an image may not always list what refers to it. */
async function attachmentsOf(
  source: ImageSource,
  digests: readonly string[],
  signal: AbortSignal,
): Promise<readonly InspectedAttachment[] | string> {
  const found: InspectedAttachment[] = [];
  try {
    for (const digest of new Set(digests)) {
      for (const attachment of await source.attachments(digest, signal)) found.push(inspected(attachment));
    }
    return found;
  } catch (error) {
    if (error instanceof RegistryError && !signal.aborted) return error.message;
    throw error;
  }
}

function inspected({ descriptor, tag }: Attachment): InspectedAttachment {
  const artifactType = descriptor.artifactType ?? null;
  return { kind: kindOf(artifactType, tag), artifactType, digest: descriptor.digest, tag };
}

/** What each way of signing calls its own: cosign's specifications, Sigstore's bundle, Notary's signature. */
const KINDS: readonly [pattern: RegExp, kind: string][] = [
  [/^application\/vnd\.dev\.sigstore\.bundle(\.v[0-9.]+)?\+json$/, "sigstore bundle"],
  [/^application\/vnd\.dev\.cosign\.artifact\.sig\.v1\+json$/, "cosign signature"],
  [/^application\/vnd\.cncf\.notary\.signature$/, "notation signature"],
  [/^application\/vnd\.(in-toto|dev\.cosign\.artifact\.att)/, "attestation"],
  [/sbom|spdx|cyclonedx/i, "bill of materials"],
];

const TAGGED: Readonly<Record<string, string>> = {
  sig: "cosign signature",
  att: "cosign attestation",
  sbom: "bill of materials",
};

function kindOf(artifactType: string | null, tag: string | null): string {
  const byTag = tag === null ? undefined : TAGGED[tag.split(".").at(-1) ?? ""];
  return byTag ?? KINDS.find(([pattern]) => pattern.test(artifactType ?? ""))?.[1] ?? "something else";
}
