import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { chmod, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import type { Plan } from "../src/plan/plan.ts";
import { planToEnvironment } from "../src/plan/transport.ts";
import { imageNodeOptions } from "../test/environment/image-entrypoint.ts";
import { samplePlan } from "../test/plan/sample.ts";
import { authority, type KeyPair, ruleBy } from "../test/trust/samples.ts";
import { type BenchImage, orasOptions, registrySettings } from "./fetch-module.ts";
import type { ProcessCommand } from "./process-cost.ts";

/** A program that is measured. */
export interface Contender {
  readonly name: string;
  /** @param target an empty folder for what it fetches */
  command(target: string): ProcessCommand;
  /** Whether it did what it was measured for. @throws Error */
  check(target: string): Promise<void>;
}

export interface FetchSettings {
  /** A folder for CPU profiles. */
  readonly profile?: string | null;
  /** By whom the image has to be signed. */
  readonly signedBy?: KeyPair;
}

/** The init container's process, as the image starts it: verified, checked against Envoy, on disk (fsync), with its filter file. */
export function wasmountFetch(entry: string, image: BenchImage, { profile, signedBy }: FetchSettings): Contender {
  const profiling = profile ? ["--cpu-prof", "--cpu-prof-interval=200", `--cpu-prof-dir=${profile}`] : [];
  return {
    name: signedBy === undefined ? "wasmount fetch" : "the same, signature verified",
    command: target => ({
      argv: [process.execPath, ...imageNodeOptions(), ...profiling, entry, "fetch"],
      env: Object.fromEntries(
        planToEnvironment(planFor(image, target, signedBy)).variables.map(({ name, value }) => [name, value]),
      ),
    }),
    check: target => expectFile(join(target, "modules", `${image.sha256}.wasm`), image),
  };
}

export function orasPull(oras: string, { registry, repository, digest, title, ...image }: BenchImage): Contender {
  return {
    name: "oras pull",
    command: target => ({
      argv: [oras, "pull", ...orasOptions(registry), "--no-tty", "-o", target, `${repository}@${digest}`],
      env: { HOME: target },
    }),
    check: target => expectFile(join(target, title), image),
  };
}

/** What no program on Node can be faster than. */
export function startNode(): Contender {
  return {
    name: "node, doing nothing",
    command: () => ({ argv: [process.execPath, "--eval", ""], env: {} }),
    check: async () => {},
  };
}

function planFor({ registry, repository, digest, size }: BenchImage, target: string, signedBy?: KeyPair): Plan {
  const rules = signedBy && [ruleBy([authority(signedBy)])];
  const trust = rules && { trust: { rules: rules.map(({ policy }) => policy), deferred: false } };
  const { limits, ...plan } = samplePlan({ repository, digest, ...trust });
  return {
    ...plan,
    ...(rules && { rules }),
    root: target,
    limits: { ...limits, moduleBytes: size },
    registries: [registrySettings(registry)],
  };
}

async function expectFile(path: string, { sha256 }: Pick<BenchImage, "sha256">): Promise<void> {
  const hash = createHash("sha256");
  await pipeline(createReadStream(path), hash);
  if (hash.digest("hex") !== sha256) throw new Error(`${path} is not the module that was pushed`);
}

/** Removes what a run left; the fetcher closes its folders. */
export async function removeRun(folder: string): Promise<void> {
  await unlock(folder);
  await rm(folder, { recursive: true });
}

async function unlock(folder: string): Promise<void> {
  await chmod(folder, 0o755);
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    if (entry.isDirectory()) await unlock(join(folder, entry.name));
  }
}
