import { createHash } from "node:crypto";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { bundlePrograms } from "../bundle.ts";
import type { BuiltImage } from "./built-image.ts";
import { run } from "./command.ts";
import { ReleaseError } from "./error.ts";
import { type BundledPackage, bundledPackages, readLock } from "./packages.ts";

export const CHECKOUT = fileURLToPath(new URL("..", import.meta.url));

/** What this checkout makes of itself, without any container. */
export interface OwnBundle {
  /** The SHA-256 of each file of /app but the compiled code. */
  readonly hashes: ReadonlyMap<string, string>;
  readonly packages: readonly BundledPackage[];
  /** The SHA-256 of package-lock.json. */
  readonly lock: string;
}

export async function ownBundle(): Promise<OwnBundle> {
  const lock = await readLock(CHECKOUT);
  const folder = await mkdtemp(join(tmpdir(), "wasmount-release-"));
  try {
    const { inputs } = await bundlePrograms(folder);
    const names = await readdir(folder);
    const hashes = await Promise.all(
      names.map(async name => [`app/${name}`, sha256(await readFile(join(folder, name)))] as const),
    );
    return { hashes: new Map(hashes), packages: bundledPackages(inputs, lock), lock: sha256(Buffer.from(lock)) };
  } finally {
    await rm(folder, { recursive: true });
  }
}

/**
 * Whether an image holds what this checkout makes, byte for byte, and V8's compiled code at most beside it: only then does
 * the list of packages, which the bundler wrote here, say what is in there.
 * @throws {ReleaseError} BadImage
 */
export function expectOwn({ files }: BuiltImage, { hashes }: OwnBundle): void {
  const there = new Map(files.filter(({ path }) => path.startsWith("app/")).map(({ path, bytes }) => [path, bytes]));
  for (const [path, hash] of hashes) {
    const bytes = there.get(path);
    if (bytes === undefined || sha256(bytes) !== hash)
      throw new ReleaseError("BadImage", `the image's /${path} is not what this checkout makes: run npm ci, and again`);
    there.delete(path);
  }
  // V8's compiled code of one of the scripts, named as src/cli/compiled-script.ts does.
  const isCompiled = (path: string) => hashes.has(/^(.+\.cjs)\.v[\d.]+-[a-z0-9]+\.cache$/.exec(path)?.[1] ?? "");
  const foreign = [...there.keys()].find(path => !isCompiled(path));
  if (foreign !== undefined) throw new ReleaseError("BadImage", `the image has /${foreign}, which nothing here makes`);
}

/** Which sources a release is made of. */
export interface Revision {
  readonly revision: string;
  /** When: seconds since 1970. */
  readonly epoch: number;
}

/**
 * The commit that is checked out, with nothing changed since.
 * @throws {ReleaseError} BadArgument, CommandFailed
 */
export async function committed(): Promise<Revision> {
  const changes = await run("git", ["status", "--porcelain"], { cwd: CHECKOUT });
  if (changes !== "")
    throw new ReleaseError(
      "BadArgument",
      "there are changes that are in no commit: commit them, or say what this is by --revision and SOURCE_DATE_EPOCH",
    );
  const [revision = "", epoch = ""] = (await run("git", ["log", "-1", "--format=%H %ct"], { cwd: CHECKOUT }))
    .trim()
    .split(" ");
  return { revision, epoch: Number(epoch) };
}

function sha256(bytes: Buffer): string {
  return createHash("sha256").update(bytes).digest("hex");
}
