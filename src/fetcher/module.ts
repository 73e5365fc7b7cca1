import { createHash } from "node:crypto";
import { modulePath } from "../envoy/filter-file.ts";
import type { BlobOrigin } from "../oci/blob-stream.ts";
import type { ModuleSource } from "../oci/client.ts";
import { digestOf } from "../oci/digest.ts";
import { type FetchedModule, fetchModule } from "../oci/fetch-module.ts";
import { parseReference } from "../oci/reference.ts";
import type { Plan, PlanFilter } from "../plan/plan.ts";
import type { EvidenceSource } from "../trust/collection.ts";
import { checkModule } from "../wasm/check.ts";
import { fileSource } from "../wasm/module-source.ts";
import { noopModule } from "../wasm/noop-module.ts";
import { FetchError } from "./error.ts";
import { EvidenceStore } from "./evidence.ts";
import type { FetchedImage } from "./image-verification.ts";
import type { FetchedFrom } from "./summary.ts";
import { fileSha256, type Volume } from "./volume.ts";

/** Reasons of one refusal that are worth a reader's time. */
const REASONS_SHOWN = 3;

/** A module that Envoy may load: it is on the volume once that is settled. */
export interface VerifiedModule {
  /** 64 hex digits: its file is modules/<sha256>.wasm. */
  readonly sha256: string;
  /** The image's root ids, in its order. */
  readonly rootIds: readonly string[];
  /** Of the module, in bytes. */
  readonly size: number;
  readonly source: FetchedFrom;
  readonly milliseconds: number;
  /** The policies that its image passed. */
  readonly passed: readonly string[];
  /** Why a module that does nothing stands in for the one that was wanted. */
  readonly problem?: string;
}

/** What the fetcher asks of registries: modules, and what vouches for them. */
export type ImageSource = ModuleSource & EvidenceSource;

/**
 * Fetches a module onto the volume, verified against the plan's digest, checked against the Envoy that will load it and
 * held to the plan's rules, before it gets its name.
 * @param filters that use it, all of one image
 * @throws RegistryError, FetchError
 */
export async function fetchVerifiedModule(
  plan: Plan,
  filters: readonly [PlanFilter, ...PlanFilter[]],
  registry: ImageSource,
  volume: Volume,
  log: (line: string) => void,
  signal: AbortSignal,
): Promise<VerifiedModule> {
  const started = performance.now();
  const [filter] = filters;
  const { registry: host, repository } = parseReference(filter.repository);
  const store = new EvidenceStore(volume);
  const source = new CountedSource(registry);
  const file = volume.create(store.modulePath("new"));
  const sink = { borrows: true, write: (chunk: Buffer) => file.append(chunk) };
  try {
    const address = { registry: host, repository, digest: filter.digest };
    const fetched = await fetchModule(source, address, sink, { store, signal });
    file.complete();
    const abi = refuseUnloadable(file.descriptor, plan.envoyVersion, filter);
    const passed = await verified(plan, filters, imageOf(filter.digest, fetched), registry, volume, log, signal);
    const path = store.modulePath(fetched.moduleSha256);
    // A file of an earlier run that is right stays: Envoy may have it open.
    if (fileSha256(path) === fetched.moduleSha256) {
      volume.adopt(path, fetched.moduleSha256);
      await file.discard();
    } else volume.later(file.finish(path, fetched.moduleSha256));
    const milliseconds = Math.round(performance.now() - started);
    log(
      `${filter.name}: ${source.asked ? "fetched" : "found on the volume"} ${filter.repository}@${filter.digest} (${fetched.layout}, ABI ${abi}, ${fetched.moduleSize} bytes, ${milliseconds} ms)`,
    );
    return {
      sha256: fetched.moduleSha256,
      rootIds: fetched.rootIds,
      size: fetched.moduleSize,
      source: source.origins.get(fetched.layerDigest) ?? "reused",
      milliseconds,
      passed,
    };
  } catch (error) {
    await file.discard();
    throw error;
  }
}

/** Late, because verification is a program of its own, and most plans demand none. */
async function verified(
  ...asked: Parameters<typeof import("./image-verification.ts").verifyImage>
): Promise<readonly string[]> {
  const [plan] = asked;
  if (plan.rules === undefined) return [];
  const { verifyImage } = await import("./image-verification.ts");
  return verifyImage(...asked);
}

function imageOf(pinned: string, fetched: FetchedModule): FetchedImage {
  const { innerIndexBytes, manifestDigest, layout, moduleSize: bytes } = fetched;
  const inner = innerIndexBytes === null ? [] : [digestOf(innerIndexBytes)];
  return { digests: [...new Set([pinned, ...inner, manifestDigest])], module: { layout, bytes } };
}

/** Puts the module that does nothing onto the volume, under its own hash. */
export async function writeNoopModule(volume: Volume): Promise<VerifiedModule> {
  const sha256 = createHash("sha256").update(noopModule).digest("hex");
  await volume.write(modulePath(volume.root, sha256), noopModule);
  return { sha256, rootIds: [], size: noopModule.length, source: "none", milliseconds: 0, passed: [] };
}

/** @throws FetchError BadModule, with the first reasons. */
function refuseUnloadable(descriptor: number, envoyVersion: string, filter: PlanFilter): string {
  const { abi, ok, problems } = checkModule(fileSource(descriptor), { envoyVersion });
  if (ok && abi !== null) return abi;
  const more = problems.length - REASONS_SHOWN;
  const reasons = problems.slice(0, REASONS_SHOWN).map(({ message }) => message);
  const rest = more > 0 ? ` (and ${more} more: wasmount check tells)` : "";
  throw new FetchError(
    "BadModule",
    `Envoy ${envoyVersion} can't load the module of filter ${filter.name}, ${filter.repository}@${filter.digest}: ${reasons.join("; ")}${rest}`,
  );
}

/** Notes whether the registry was asked at all, and who gave which blob. */
class CountedSource implements ModuleSource {
  readonly limits: ModuleSource["limits"];
  readonly #registry: ModuleSource;
  asked = false;
  readonly origins = new Map<string, BlobOrigin>();

  constructor(registry: ModuleSource) {
    this.#registry = registry;
    this.limits = registry.limits;
  }

  manifest(...request: Parameters<ModuleSource["manifest"]>): ReturnType<ModuleSource["manifest"]> {
    this.asked = true;
    return this.#registry.manifest(...request);
  }

  blob(...[registry, repository, descriptor, signal, , lent]: Parameters<ModuleSource["blob"]>): AsyncIterable<Buffer> {
    this.asked = true;
    const served = (origin: BlobOrigin) => void this.origins.set(descriptor.digest, origin);
    return this.#registry.blob(registry, repository, descriptor, signal, served, lent);
  }
}
