import { dirname } from "node:path";
import type { RegistryClient } from "../oci/client.ts";
import { type ArchiveLimits, packLayout, temporaryLayout, unpackLayout } from "../store/layout-archive.ts";
import { LayoutFolder } from "../store/layout-folder.ts";
import { NewFile } from "../store/new-file.ts";
import type { ImageSource, ImageTarget } from "./images.ts";
import { LayoutImages, layoutEntry, storeEntry } from "./layout-images.ts";
import type { Place } from "./place.ts";
import { RegistryImages } from "./registry-images.ts";

export interface Surroundings {
  readonly client: RegistryClient;
  /** The folder of the local store. */
  readonly store: string;
  /** A folder for what is on its way between a tar file and its reader. */
  readonly temporary: string;
  readonly limits: ArchiveLimits;
}

/** A target, and what makes it last. Exactly one of `commit` and `discard` ends it. */
export interface OpenTarget {
  readonly target: ImageTarget;
  commit(signal: AbortSignal): Promise<void>;
  discard(): Promise<void>;
}

/** Opens a place for reading and closes it after the action. */
export async function withSource<T>(
  place: Place,
  { client, store, temporary, limits }: Surroundings,
  action: (source: ImageSource) => Promise<T>,
): Promise<T> {
  switch (place.kind) {
    case "registry":
      return action(new RegistryImages(client, place.reference));
    case "store":
      return action(new LayoutImages(await LayoutFolder.create(store), storeEntry(place.reference)));
    case "folder":
      return action(new LayoutImages(await LayoutFolder.open(place.path), layoutEntry(place.path, place.name)));
    case "archive": {
      const path = await temporaryLayout(temporary);
      try {
        const folder = await unpackLayout(place.path, path, limits);
        return await action(new LayoutImages(folder, layoutEntry(place.path, place.name)));
      } finally {
        await LayoutFolder.remove(path);
      }
    }
  }
}

export interface TargetOptions {
  /** Whether a tar file that is there is replaced. */
  readonly replace: boolean;
  /** Where what is written comes from: a registry need not be sent what another repository of its own has. */
  readonly from: Place | null;
}

/** Opens a place for writing. */
export async function openTarget(
  place: Place,
  { client, store }: Surroundings,
  { replace, from }: TargetOptions,
): Promise<OpenTarget> {
  switch (place.kind) {
    case "registry":
      return lasting(new RegistryImages(client, place.reference, sibling(place, from)));
    case "store":
      return lasting(new LayoutImages(await LayoutFolder.create(store), storeEntry(place.reference)));
    case "folder":
      return lasting(new LayoutImages(await LayoutFolder.create(place.path), layoutEntry(place.path, place.name)));
    case "archive":
      return openArchive(place.path, place.name, replace);
  }
}

function sibling(place: Place, from: Place | null): string | null {
  if (place.kind !== "registry" || from?.kind !== "registry") return null;
  const { registry, repository } = from.reference;
  return registry === place.reference.registry && repository !== place.reference.repository ? repository : null;
}

function lasting(target: ImageTarget): OpenTarget {
  return { target, commit: async () => {}, discard: async () => {} };
}

/** The file is made first: whether it may be written is known before anything is fetched. */
async function openArchive(path: string, name: string | null, replace: boolean): Promise<OpenTarget> {
  const mode = replace ? "replace" : "keep";
  const file = await NewFile.create(path, mode);
  try {
    const folder = await LayoutFolder.create(await temporaryLayout(dirname(path)), { name: path });
    const discard = async () => {
      await file.discard();
      await LayoutFolder.remove(folder.path);
    };
    return {
      target: new LayoutImages(folder, layoutEntry(path, name)),
      discard,
      async commit(signal) {
        await packLayout(folder, file, signal);
        await file.finish();
        await discard();
      },
    };
  } catch (error) {
    await file.discard();
    throw error;
  }
}
