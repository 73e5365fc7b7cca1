import { mkdir, open, readFile, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { ClusterError } from "./error.ts";
import { identityOf } from "./process.ts";

/**
 * Runs something while no other process does so under the same file. A file whose process has ended is taken over.
 * @param wait how long to wait for another holder, in milliseconds.
 * @throws ClusterError Locked, naming the holder, when it still holds after that.
 */
export async function locked<T>(path: string, wait: number, action: () => Promise<T>): Promise<T> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const deadline = performance.now() + wait;
  while (!(await take(path))) {
    const holder = await holderOf(path);
    if (holder === null) {
      await rm(path, { force: true });
    } else if (performance.now() > deadline) {
      throw new ClusterError(
        "Locked",
        `process ${holder} is already working on this cluster (${path}): wait for it to end`,
      );
    } else {
      await sleep(200);
    }
  }
  try {
    return await action();
  } finally {
    await rm(path, { force: true });
  }
}

async function take(path: string): Promise<boolean> {
  try {
    const file = await open(path, "wx", 0o600);
    try {
      await file.writeFile(JSON.stringify({ pid: process.pid, identity: await identityOf(process.pid) }));
    } finally {
      await file.close();
    }
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  }
}

async function holderOf(path: string): Promise<number | null> {
  for (const last of [false, true]) {
    try {
      const { pid, identity } = JSON.parse(await readFile(path, "utf8")) as { pid: number; identity: string };
      return (await identityOf(pid)) === identity ? pid : null;
    } catch {
      // Its holder may be between creating and filling it: look twice.
      if (!last) await sleep(500);
    }
  }
  return null;
}
