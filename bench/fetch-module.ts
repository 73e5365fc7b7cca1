import { createHash, randomBytes } from "node:crypto";
import { open, rm } from "node:fs/promises";
import { join } from "node:path";
import { RegistryClient } from "../src/oci/client.ts";
import { parseReference } from "../src/oci/reference.ts";
import type { PlanRegistry } from "../src/plan/plan.ts";
import { attachBundle } from "../src/trust/attaching.ts";
import { signedBundle } from "../src/trust/signing.ts";
import { noopModule } from "../src/wasm/noop-module.ts";
import { spawnChecked } from "../test/environment/spawn.ts";
import type { KeyPair } from "../test/trust/samples.ts";

/** A registry, as both programs ask it. */
export interface BenchRegistry {
  /** "127.0.0.1:5000" */
  readonly address: string;
  /** Who vouches for it, as PEM and as a file; null where it is spoken to without TLS. */
  readonly authority: { readonly pem: string; readonly file: string } | null;
}

/** oras' options for it. */
export function orasOptions({ authority }: BenchRegistry): readonly string[] {
  return authority === null ? ["--plain-http"] : ["--ca-file", authority.file];
}

/** What a plan says of it. */
export function registrySettings({ address, authority }: BenchRegistry): PlanRegistry {
  return { host: address, plainHttp: authority === null, ...(authority && { ca: authority.pem }) };
}

/** An image in a registry, as both programs fetch it. */
export interface BenchImage {
  readonly registry: BenchRegistry;
  /** With the registry before it. */
  readonly repository: string;
  readonly digest: string;
  /** What the module's file is called by oras. */
  readonly title: string;
  /** Of the module, hex. */
  readonly sha256: string;
  /** In bytes. */
  readonly size: number;
}

const NAME = "filter.wasm";
const BLOCK = 1024 * 1024;
const SIGNING_MS = 30_000;

/**
 * Pushes, by oras, a module that Envoy can load and that is exactly so large: the one that does nothing, and a custom
 * section of noise behind it, as debug information would be.
 */
export async function pushPadded(
  oras: string,
  registry: BenchRegistry,
  size: number,
  folder: string,
): Promise<BenchImage> {
  const path = join(folder, NAME);
  const sha256 = await writePadded(path, size);
  const repository = `${registry.address}/bench/padded-${size}`;
  const layer = `${NAME}:application/vnd.module.wasm.content.layer.v1+wasm`;
  const options = [...orasOptions(registry), "--format", "json"];
  const pushed = await spawnChecked(oras, ["push", ...options, `${repository}:1`, layer], { cwd: folder });
  await rm(path);
  const { digest } = JSON.parse(pushed) as { readonly digest: string };
  return { registry, repository, digest, title: NAME, sha256, size };
}

/** Signs an image as `wasmount sign` does. */
export async function signImage({ registry, repository, digest }: BenchImage, { signer }: KeyPair): Promise<void> {
  const client = new RegistryClient({ registries: [registrySettings(registry)] });
  try {
    const place = parseReference(repository);
    const signal = AbortSignal.timeout(SIGNING_MS);
    const subject = await client.manifest(place.registry, place.repository, digest, signal);
    const bundle = signedBundle({ digest, repository, annotations: {} }, signer);
    await attachBundle(client, place, subject, bundle, new Date(), signal);
  } finally {
    client.close();
  }
}

async function writePadded(path: string, size: number): Promise<string> {
  // Id, a length of five bytes, and a name of one letter.
  const content = size - noopModule.length - 6;
  const head = Buffer.concat([noopModule, Buffer.from([0]), fiveByteLength(content), Buffer.from([1, 0x78])]);
  const hash = createHash("sha256").update(head);
  await using file = await open(path, "w");
  await file.write(head);
  for (let left = size - head.length; left > 0; ) {
    const block = randomBytes(Math.min(BLOCK, left));
    hash.update(block);
    await file.write(block);
    left -= block.length;
  }
  return hash.digest("hex");
}

/** LEB128, padded: so the sizes around it don't depend on it. */
function fiveByteLength(value: number): Buffer {
  return Buffer.from([0, 7, 14, 21, 28].map(shift => ((value >>> shift) & 0x7f) | (shift < 28 ? 0x80 : 0)));
}
