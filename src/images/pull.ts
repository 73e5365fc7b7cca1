import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { LayoutFolder } from "../store/layout-folder.ts";
import { NewFile } from "../store/new-file.ts";
import { copyImage } from "./copy.ts";
import type { ImageSource, TransferWatcher } from "./images.ts";
import { type LayoutEntry, LayoutImages } from "./layout-images.ts";
import { type CheckedModule, type ModuleOptions, readModule, refuseUnloadable } from "./module.ts";
import { abiAnnotation } from "./push.ts";

export interface PullRequest extends ModuleOptions {
  /** Whether a module that this Envoy can't load is taken all the same. */
  readonly unchecked: boolean;
}

export interface Pulled {
  /** Of the manifest or index that the source names. */
  readonly digest: string;
  readonly module: CheckedModule;
}

/** Writes an image's module to a file, whole and checked or not at all. @throws {ImageError} ModuleRefused, … */
export async function pullFile(
  source: ImageSource,
  output: string,
  replace: boolean,
  request: PullRequest,
): Promise<Pulled> {
  const file = await NewFile.create(output, replace ? "replace" : "keep");
  try {
    const { digest } = await source.find(request.signal);
    const module = await readModule(source, digest, file, request);
    refuse(source, module, request);
    await file.finish();
    return { digest, module };
  } finally {
    await file.discard();
  }
}

/**
 * Takes an image, an index with all that it lists, into the local store. Nothing of it is there before all of it is
 * verified and its module checked.
 * @throws {ImageError} ModuleRefused; {RegistryError}, {StoreError}
 */
export async function pullToStore(
  source: ImageSource,
  store: LayoutFolder,
  entry: LayoutEntry,
  request: PullRequest,
): Promise<Pulled> {
  const { watcher, signal } = request;
  const staged = await store.stage(randomBytes(8).toString("hex"));
  try {
    const waiting = new LayoutImages(staged, { ...entry, find: null });
    const { descriptor } = await copyImage(source, waiting, { referrers: false, watcher, signal });
    const module = await checked(waiting, descriptor.digest, staged, request);
    refuse(source, module, request);
    await store.adopt(staged);
    await store.setEntry({ ...descriptor, annotations: abiAnnotation(module.report) }, entry.put, signal);
    return { digest: descriptor.digest, module };
  } finally {
    await LayoutFolder.remove(staged.path);
  }
}

/** The module as it comes out of the image that was copied, in a file that goes with the staged folder. */
async function checked(
  images: ImageSource,
  digest: string,
  staged: LayoutFolder,
  request: PullRequest,
): Promise<CheckedModule> {
  const file = await NewFile.create(join(staged.path, "module"), "keep");
  try {
    return await readModule(images, digest, file, { ...request, watcher: UNWATCHED });
  } finally {
    await file.discard();
  }
}

/** Of what is not a transfer. */
const UNWATCHED: TransferWatcher = { started() {}, moved() {}, finished() {} };

function refuse({ name }: ImageSource, { report }: CheckedModule, { envoyVersion, unchecked }: PullRequest): void {
  const remedy = "Nothing was kept; --no-check takes it all the same, --envoy-version asks for another Envoy.";
  if (!unchecked) refuseUnloadable(`the module of ${name}`, report, envoyVersion, remedy);
}
