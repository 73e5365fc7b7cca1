import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { binaryOf } from "./cluster/binaries.ts";
import type { Progress } from "./cluster/progress.ts";

/** The registry of go-containerregistry, in memory: a real server that has the referrers API. */
export interface ReferrersRegistry {
  /** "127.0.0.1:<port>", as references spell it. */
  readonly address: string;
  stop(): Promise<void>;
}

export async function startReferrersRegistry(progress: Progress = () => {}): Promise<ReferrersRegistry> {
  const child = spawn(await binaryOf("referrers", progress), ["127.0.0.1:0"], { stdio: ["ignore", "pipe", "inherit"] });
  const exited = once(child, "exit");
  const line = once(createInterface(child.stdout), "line") as Promise<[string]>;
  const started = await Promise.race([line, exited.then(() => null)]);
  if (started === null) throw new Error(`the registry with referrers ended with ${child.exitCode} before it served`);
  return {
    address: started[0],
    async stop() {
      child.kill("SIGTERM");
      await exited;
    },
  };
}
