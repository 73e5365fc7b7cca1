import { homedir } from "node:os";
import { join } from "node:path";

/**
 * Where downloaded and built parts are kept between runs, outside the checkout: `WASMOUNT_CACHE`, else
 * `$XDG_CACHE_HOME/wasmount`, else `~/.cache/wasmount`.
 */
export function cacheFolder(...segments: string[]): string {
  const base =
    process.env["WASMOUNT_CACHE"] ?? join(process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"), "wasmount");
  return join(base, ...segments);
}
