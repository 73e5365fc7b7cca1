import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { isRecord } from "../src/oci/descriptor.ts";
import { ReleaseError } from "./error.ts";

/** A package of npm of which something is in the bundle. */
export interface BundledPackage {
  readonly name: string;
  readonly version: string;
  /** As its package.json has it, an SPDX expression as a rule; null where it says nothing. */
  readonly license: string | null;
  /** SHA-512 of its archive in the registry, in hexadecimal digits. */
  readonly sha512: string;
}

/**
 * The packages that a bundle's inputs are of, sorted by name: what is in the bundle, and not what is in node_modules.
 * @param inputs paths relative to the checkout, as the bundler names them
 * @param lock the text of package-lock.json
 * @throws {ReleaseError} BadArgument where the lock knows of none such
 */
export function bundledPackages(inputs: readonly string[], lock: string): readonly BundledPackage[] {
  const { packages } = JSON.parse(lock) as { readonly packages: Readonly<Record<string, unknown>> };
  const folders = new Set(inputs.flatMap(path => packageFolder(path) ?? []));
  const found = [...folders].map(folder => lockedPackage(folder, packages[folder]));
  // One that lies in several folders is one all the same.
  return [...new Map(found.map(one => [`${one.name}@${one.version}`, one])).values()].sort(byName);
}

/** "node_modules/a/node_modules/@b/c" of "node_modules/a/node_modules/@b/c/lib/index.js"; null for our own sources. */
function packageFolder(path: string): string | null {
  return /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(path.replaceAll("\\", "/"))?.[0] ?? null;
}

function lockedPackage(folder: string, entry: unknown): BundledPackage {
  const name = folder.slice(folder.lastIndexOf("node_modules/") + "node_modules/".length);
  const { version, license, integrity } = isRecord(entry) ? entry : {};
  const [, base64] = /^sha512-([A-Za-z0-9+/]{86}==)$/.exec(String(integrity)) ?? [];
  if (typeof version !== "string" || base64 === undefined)
    throw new ReleaseError(
      "BadArgument",
      `package-lock.json says neither version nor hash of ${folder}, which is in the bundle`,
    );
  const sha512 = Buffer.from(base64, "base64").toString("hex");
  return { name, version, license: typeof license === "string" ? license : null, sha512 };
}

function byName(left: BundledPackage, right: BundledPackage): number {
  return left.name === right.name ? (left.version < right.version ? -1 : 1) : left.name < right.name ? -1 : 1;
}

/** @throws {ReleaseError} BadArgument where what is installed is not what is locked */
export async function readLock(checkout: string): Promise<string> {
  const lock = await readFile(join(checkout, "package-lock.json"), "utf8");
  const installed = await readFile(join(checkout, "node_modules/.package-lock.json"), "utf8").catch(() => "{}");
  const { packages } = JSON.parse(lock) as {
    readonly packages: Readonly<Record<string, { readonly integrity?: string }>>;
  };
  const { packages: there = {} } = JSON.parse(installed) as {
    readonly packages?: Readonly<Record<string, { readonly integrity?: string }>>;
  };
  for (const [folder, { integrity }] of Object.entries(there)) {
    if (packages[folder]?.integrity !== integrity)
      throw new ReleaseError(
        "BadArgument",
        `${folder} is installed in another version than package-lock.json has: run npm ci`,
      );
  }
  return lock;
}
