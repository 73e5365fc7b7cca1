import { readdirSync, readFileSync, realpathSync, statSync } from "node:fs";
import { join, posix } from "node:path";
import { readSibling } from "../envoy/sibling.ts";
import { messageOf } from "../error.ts";
import { isWithin } from "../kube/mount.ts";
import { FetchError } from "./error.ts";
import type { Volume } from "./volume.ts";

/** More than a ConfigMap can hold; a larger file is not part of a configuration. */
const MAX_FILE_BYTES = 4 * 1024 * 1024;
const MAX_FILES = 256;

const ADVICE = "name the configuration with -c in args, so that the mount can stay";

/**
 * Copies the files beside an edited configuration, through the links that ConfigMap volumes are made of and never out of
 * the mount. Another Envoy configuration among them is refused, and what may be one: if the proxy read that, it would run
 * unfiltered.
 * @param source the configuration itself, which is not copied
 * @throws FetchError NoBootstrap, Volume
 */
export function copyMountedFiles(
  { from, to }: { readonly from: string; readonly to: string },
  source: string,
  volume: Volume,
): void {
  for (const { name, content } of filesBeside(from, source)) {
    refuseBootstrap(join(from, name), content);
    volume.later(volume.write(posix.join(to, name), content));
  }
}

interface MountedFile {
  readonly name: string;
  readonly content: Buffer;
}

function filesBeside(from: string, source: string): MountedFile[] {
  try {
    const top = realpathSync(from);
    const edited = realpathSync(source);
    const names = readdirSync(from).filter(name => !name.startsWith(".."));
    if (names.length > MAX_FILES) throw new Error(`it holds ${names.length} files, at most ${MAX_FILES} are copied`);
    const files: MountedFile[] = [];
    for (const name of names) {
      const real = realpathSync(join(from, name));
      if (real !== edited) files.push({ name, content: readMounted(name, real, top) });
    }
    return files;
  } catch (error) {
    throw new FetchError("NoBootstrap", `can't copy the mount ${from}: ${messageOf(error)}; ${ADVICE}`, {
      cause: error,
    });
  }
}

function readMounted(name: string, real: string, top: string): Buffer {
  const found = statSync(real);
  if (!found.isFile() || !isWithin(real, top)) throw new Error(`${name} is not a plain file of the mount`);
  if (found.size > MAX_FILE_BYTES) throw new Error(`${name} is larger than ${MAX_FILE_BYTES} bytes`);
  return readFileSync(real);
}

/** What the proxy could be started with instead would run unfiltered. */
function refuseBootstrap(path: string, content: Buffer): void {
  const sibling = readSibling(path, content);
  if (sibling.kind === "other") return;
  const problem =
    sibling.kind === "bootstrap"
      ? `${path} is an Envoy configuration too, and which one the proxy reads can't be told`
      : `whether ${path} is an Envoy configuration too, which the proxy may read, can't be told (${sibling.why})`;
  throw new FetchError("NoBootstrap", `${problem}: ${ADVICE}, or keep other files in another volume`);
}
