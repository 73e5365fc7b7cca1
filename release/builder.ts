import { readFile, rm } from "node:fs/promises";
import { run } from "./command.ts";
import { ReleaseError } from "./error.ts";
import type { Platform } from "./platform.ts";

/** One image of the Dockerfile, for one platform. */
export interface ImageBuild {
  /** The checkout. */
  readonly context: string;
  readonly platform: Platform;
  readonly args: Readonly<Record<string, string>>;
  /** Files that the build may read and that stay out of the image, by the ids that the Dockerfile gives them. */
  readonly secrets: Readonly<Record<string, string>>;
  /** The date of everything in the image, in seconds since 1970. */
  readonly epoch: number;
  /** A folder that is not there yet: becomes an OCI image layout with one image, its layers not compressed. */
  readonly layout: string;
}

export interface Builder {
  readonly name: "buildah" | "docker buildx";
  readonly version: string;
  build(build: ImageBuild): Promise<void>;
}

/** The builder that is there; buildah first, which needs no daemon. @throws {ReleaseError} CommandFailed */
export async function findBuilder(): Promise<Builder> {
  const why: string[] = [];
  for (const find of [buildah, buildx]) {
    try {
      return await find();
    } catch (error) {
      if (!(error instanceof ReleaseError)) throw error;
      why.push(error.message);
    }
  }
  throw new ReleaseError("CommandFailed", `neither buildah nor docker buildx does:\n${why.join("\n")}`);
}

async function buildah(): Promise<Builder> {
  const version = await run("buildah", ["--version"]);
  return {
    name: "buildah",
    version: /\d+\.\d+\.\d+/.exec(version)?.[0] ?? "unknown",
    async build({ context, platform, args, secrets, epoch, layout }) {
      const idFile = `${layout}.id`;
      const flags = ["--platform", `linux/${platform.architecture}`, "--timestamp", `${epoch}`, "--layers=false"];
      const options = [...flags, ...pairs("--build-arg", args), ...secretOptions(secrets), "--iidfile", idFile];
      try {
        await run("buildah", ["bud", ...options, context], { cwd: context, loud: true });
        const id = (await readFile(idFile, "utf8")).trim();
        try {
          await run("buildah", ["push", "--quiet", "--disable-compression", id, `oci:${layout}`]);
        } finally {
          await run("buildah", ["rmi", id]);
        }
      } finally {
        await rm(idFile, { force: true });
      }
    },
  };
}

async function buildx(): Promise<Builder> {
  const version = await run("docker", ["buildx", "version"]);
  await run("docker", ["buildx", "inspect", "--bootstrap"]);
  return {
    name: "docker buildx",
    version: /v?(\d+\.\d+\.\d+)/.exec(version)?.[1] ?? "unknown",
    async build({ context, platform, args, secrets, epoch, layout }) {
      // Its own attestations know less than ours: which packages are in the bundle is known to the bundler alone.
      const flags = ["--platform", `linux/${platform.architecture}`, "--provenance=false", "--sbom=false"];
      const form = "type=oci,tar=false,oci-mediatypes=true,compression=uncompressed,force-compression=true";
      const output = ["--output", `${form},rewrite-timestamp=true,dest=${layout}`];
      const options = [...flags, ...pairs("--build-arg", args), ...secretOptions(secrets), ...output];
      const env = { SOURCE_DATE_EPOCH: `${epoch}` };
      await run("docker", ["buildx", "build", ...options, context], { cwd: context, env, loud: true });
    },
  };
}

function pairs(option: string, values: Readonly<Record<string, string>>): readonly string[] {
  return Object.entries(values).flatMap(([name, value]) => [option, `${name}=${value}`]);
}

function secretOptions(secrets: Readonly<Record<string, string>>): readonly string[] {
  return Object.entries(secrets).flatMap(([id, file]) => ["--secret", `id=${id},src=${file}`]);
}
