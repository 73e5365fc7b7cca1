import { open } from "node:fs/promises";
import { messageOf } from "../error.ts";
import type { ModuleSource } from "../oci/client.ts";
import { type FetchedModule, fetchModule } from "../oci/fetch-module.ts";
import type { ModuleSink } from "../oci/module-sink.ts";
import { checkModule, type ModuleReport } from "../wasm/check.ts";
import { fileSource } from "../wasm/module-source.ts";
import { watched } from "./copy.ts";
import { ImageError } from "./error.ts";
import type { ImageSource, TransferWatcher } from "./images.ts";

export interface CheckedModule extends FetchedModule {
  readonly report: ModuleReport;
}

/** An open file that a module is written to. */
export interface ModuleFile extends ModuleSink {
  readonly descriptor: number;
}

/** What who is refused an index that leaves a choice can do about it. */
export const CHOICE_REMEDY = "name one by its digest, or by its platform with --platform";

export interface ModuleOptions {
  /** Decides where an index leaves a choice, "linux/amd64"; without it there must be none. */
  readonly platform?: string | undefined;
  readonly envoyVersion: string;
  readonly limits: ModuleSource["limits"];
  readonly watcher: TransferWatcher;
  readonly signal: AbortSignal;
}

/**
 * Writes an image's module to a file, verified against the image's digest, and says what it is.
 * @throws {RegistryError}, {StoreError} and whatever the file throws
 */
export async function readModule(
  source: ImageSource,
  digest: string,
  file: ModuleFile,
  { platform, envoyVersion, limits, watcher, signal }: ModuleOptions,
): Promise<CheckedModule> {
  const fetched = await fetchModule(
    {
      limits,
      manifest: (_registry, _repository, item) => source.manifest(item, signal),
      blob: (_registry, _repository, descriptor) =>
        watched(
          { ...descriptor, open: () => source.blob(descriptor, signal) },
          watcher,
        ).open() as AsyncIterable<Buffer>,
    },
    source.address(digest),
    file,
    { platform, choiceRemedy: CHOICE_REMEDY, signal },
  );
  return { ...fetched, report: checkModule(fileSource(file.descriptor), { envoyVersion }) };
}

/**
 * Refuses a module that Envoy can't load.
 * @param remedy what its user can do about it
 * @throws {ImageError} ModuleRefused, with every reason
 */
export function refuseUnloadable(subject: string, { problems }: ModuleReport, envoy: string, remedy: string): void {
  if (problems.length === 0) return;
  const reasons = problems.map(({ code, message }) => `\n  ${code}: ${message}`).join("");
  throw new ImageError("ModuleRefused", `Envoy ${envoy} can't load ${subject}:${reasons}\n${remedy}`);
}

/** What a module in a file is. @throws {ImageError} BadFile */
export async function fileReport(file: string, envoyVersion: string): Promise<ModuleReport> {
  try {
    const handle = await open(file);
    try {
      if (!(await handle.stat()).isFile()) throw new ImageError("BadFile", `${file} is no regular file`);
      return checkModule(fileSource(handle.fd), { envoyVersion });
    } finally {
      await handle.close();
    }
  } catch (error) {
    if (error instanceof ImageError) throw error;
    throw new ImageError("BadFile", `${file} can't be read: ${messageOf(error)}`, { cause: error });
  }
}
