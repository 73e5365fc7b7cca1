import { existsSync, mkdirSync } from "node:fs";
import { dirname } from "node:path";

/**
 * Makes a folder, and those above it that are not there. Node's own way (`recursive`) never comes back from a file system
 * that has a folder and says ENOENT of every new name in it, as procfs does.
 * @param made told of each that was made, the outer ones first
 * @throws the system's error
 */
export function makeFolder(path: string, made: (folder: string) => void = () => {}): void {
  if (existsSync(path)) return;
  const above = dirname(path);
  if (above !== path) makeFolder(above, made);
  try {
    mkdirSync(path);
  } catch (error) {
    // By another process, meanwhile.
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return;
    throw error;
  }
  made(path);
}
