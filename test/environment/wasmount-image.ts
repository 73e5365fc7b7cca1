import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { imageEntrypoint } from "./image-entrypoint.ts";
import { type BuiltImage, nodeImage } from "./images/images.ts";
import { spawnChecked } from "./spawn.ts";

const checkout = fileURLToPath(new URL("../..", import.meta.url));

/**
 * wasmount's own image, from the bundle of these sources: what the Dockerfile makes, in a few seconds. The Dockerfile's
 * own takes a minute and more after each change of a source, and has its tests in image.test.ts and release.test.ts.
 */
export async function wasmountImage(): Promise<BuiltImage> {
  await spawnChecked(process.execPath, ["build.ts"], { cwd: checkout });
  const files = (await readdir(join(checkout, "dist"))).sort().map(name => ({
    kind: "file" as const,
    path: `/app/${name}`,
    mode: 0o644,
    source: { path: join(checkout, "dist", name) },
  }));
  return nodeImage({
    reference: "docker.io/local/wasmount:1",
    files,
    entrypoint: imageEntrypoint(),
    user: 65532,
  });
}

/** Node alone: the image of small applications whose source stands in their pod's args. */
export function applicationImage(): Promise<BuiltImage> {
  return nodeImage({ reference: "docker.io/local/app:1", files: [], entrypoint: ["node"], user: 1000 });
}
