import { constants } from "node:fs";
import { access } from "node:fs/promises";
import { delimiter, join } from "node:path";

/** Where Debian keeps what only root uses; not on every PATH. */
const systemFolders = ["/usr/local/sbin", "/usr/sbin", "/sbin"];

/** The path of an executable on PATH or in the system's sbin folders, or null. */
export async function findExecutable(name: string, extraFolders: readonly string[] = []): Promise<string | null> {
  const folders = [...(process.env["PATH"] ?? "").split(delimiter), ...systemFolders, ...extraFolders];
  for (const folder of folders) {
    if (folder === "") continue;
    const path = join(folder, name);
    if (await isExecutable(path)) return path;
  }
  return null;
}

/** Whether the path is there and may be executed. */
export async function isExecutable(path: string): Promise<boolean> {
  try {
    await access(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
