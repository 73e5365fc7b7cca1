import { posix } from "node:path";
import type { VolumeMount } from "./pod.ts";

/**
 * A container path as the kernel will see it: cleaned of `.`, `..` and doubled slashes, with `/var/run` spelled
 * `/run`, of which it is a symbolic link in practically every image.
 */
export function cleanPath(path: string): string {
  const cleaned = isClean(path) ? path : posix.normalize(`/${path}`).replace(/(.)\/$/, "$1");
  return cleaned === "/var/run" || cleaned.startsWith("/var/run/") ? cleaned.slice("/var".length) : cleaned;
}

/** Most paths are written as they are meant: absolute, without an empty segment or one that begins with a dot. */
function isClean(path: string): boolean {
  return path.startsWith("/") && !/\/(?:[/.]|$)/.test(path);
}

/** Whether `path` is `folder` or lies below it, both as the kernel sees them. */
export function isWithin(path: string, folder: string): boolean {
  const inner = cleanPath(path);
  const outer = cleanPath(folder);
  return outer === "/" || inner === outer || inner.startsWith(`${outer}/`);
}

/** The mount that a path comes from: the deepest one at or above it. */
export function coveringMount(path: string, mounts: readonly VolumeMount[]): VolumeMount | null {
  let deepest: VolumeMount | null = null;
  for (const mount of mounts) {
    if (!isWithin(path, mount.mountPath)) continue;
    if (deepest === null || cleanPath(mount.mountPath).length > cleanPath(deepest.mountPath).length) deepest = mount;
  }
  return deepest;
}

/** The path relative to a folder that holds it; empty for the folder itself. */
export function pathBelow(path: string, folder: string): string {
  return posix.relative(cleanPath(folder), cleanPath(path));
}
