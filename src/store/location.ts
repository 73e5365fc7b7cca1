import { homedir } from "node:os";
import { isAbsolute, join } from "node:path";

/**
 * The folder of the local store: what the command line names, else `WASMOUNT_STORE`, else below the user's data folder
 * (XDG Base Directory Specification: a relative XDG_DATA_HOME is ignored).
 */
export function storeFolder(named: string | undefined, env: NodeJS.ProcessEnv, home = homedir()): string {
  if (named !== undefined && named !== "") return named;
  const { WASMOUNT_STORE: own = "", XDG_DATA_HOME: data = "" } = env;
  if (own !== "") return own;
  return join(isAbsolute(data) ? data : join(home, ".local/share"), "wasmount", "images");
}
