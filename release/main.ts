import { stat } from "node:fs/promises";
import { resolve } from "node:path";
import { Command, Option } from "commander";
import { version as ours } from "../src/cli/version.ts";
import { CodedError } from "../src/error.ts";
import { parseReference } from "../src/oci/reference.ts";
import { defaultBase, resolveBase } from "./bases.ts";
import { findBuilder } from "./builder.ts";
import { CHECKOUT, committed, ownBundle, type Revision } from "./checkout.ts";
import { ReleaseError } from "./error.ts";
import { parsePlatforms } from "./platform.ts";
import { type Publication, publish, publishing } from "./publication.ts";
import { makeRelease, type Release } from "./release.ts";

interface Options {
  readonly output: string;
  readonly platform: string;
  readonly build?: string;
  readonly base?: string;
  readonly compression: "zstd" | "gzip";
  readonly level?: number;
  readonly emulated?: true;
  readonly npmrc?: string;
  readonly ca?: string;
  readonly source: string;
  readonly revision?: string;
  readonly builderId?: string;
  readonly push?: string;
  readonly key?: string;
  readonly keyless?: true;
  readonly dryRun?: true;
}

const command = new Command("release")
  .description("Makes a release of wasmount's image: for each platform, with SBOM and provenance, and publishes it.")
  .argument("<version>", "package.json's")
  .option("-o, --output <folder>", "where to write it", "release-output")
  .option("--platform <list>", "which machines it is for", "linux/amd64,linux/arm64")
  .option("--build <image>", "the image with Node; default: the Dockerfile's BUILD")
  .option("--base <image>", "the image below; default: the Dockerfile's BASE")
  .addOption(new Option("--compression <name>", "of layers").choices(["zstd", "gzip"]).default("zstd"))
  .option("--level <number>", "of the compression; default: 19 of zstd, 9 of gzip", Number)
  .option("--emulated", "bundle for each platform on that platform: slow, and gives its fetcher compiled code")
  .option("--npmrc <file>", "npm's configuration in the build; in no layer")
  .option("--ca <file>", "certificate authorities that npm trusts in the build; in no layer")
  .requiredOption("--source <url>", "where the sources are")
  .option("--revision <name>", "of the sources; default: the commit that is checked out, with nothing changed")
  .option("--builder-id <uri>", "who vouches for the provenance; default: below --source")
  .option("--push <reference>", "publish it there, with SBOM and provenance attached")
  .addOption(new Option("--key <file>", "sign with this key: wasmount sign --key").conflicts("keyless"))
  .option("--keyless", "sign with an identity token: wasmount sign --keyless")
  .option("--dry-run", "do everything but publish; say what would be")
  .action(release);

async function release(version: string, options: Options): Promise<void> {
  await expectPossible(version, options);
  const output = resolve(options.output);
  const { compression, source } = options;
  const request = {
    version,
    source,
    output,
    started: new Date(),
    ...(await revisionOf(options)),
    platforms: parsePlatforms(options.platform),
    build: await resolveBase("BUILD", options.build ?? (await defaultBase(CHECKOUT, "BUILD"))),
    base: await resolveBase("BASE", options.base ?? (await defaultBase(CHECKOUT, "BASE"))),
    packing: { compression, level: options.level ?? (compression === "zstd" ? 19 : 9) },
    emulated: options.emulated ?? false,
    secrets: { ...file("npmrc", options.npmrc), ...file("ca", options.ca) },
    builderId: options.builderId ?? `${source}/release`,
  };
  const made = await makeRelease(request, await findBuilder(), await ownBundle());
  if (options.push !== undefined)
    await published({ output, version, reference: options.push, signing: signingOf(options) }, made, options);
  process.stdout.write(`${JSON.stringify(made, null, 2)}\n`);
}

/** What can be known before anything is built. */
async function expectPossible(version: string, { output, push }: Options): Promise<void> {
  if (version !== ours)
    throw new ReleaseError(
      "BadArgument",
      `package.json has version ${ours}: a release of ${version} would call itself that`,
    );
  if (await stat(output).catch(() => null))
    throw new ReleaseError("BadArgument", `${output} is there already: remove it, or name another --output`);
  if (push !== undefined && parseReference(push).tag === null)
    throw new ReleaseError("BadArgument", "--push takes a reference with a tag");
}

function file(id: string, path: string | undefined): Readonly<Record<string, string>> {
  return path === undefined ? {} : { [id]: resolve(path) };
}

function signingOf({ key, keyless }: Options): readonly string[] {
  if (keyless) return ["--keyless"];
  return key === undefined ? [] : ["--key", resolve(key)];
}

async function published(publication: Publication, made: Release, { dryRun }: Options): Promise<void> {
  if (!dryRun) return publish(publication, made);
  for (const args of publishing(publication, made)) process.stderr.write(`would run: wasmount ${args.join(" ")}\n`);
}

async function revisionOf({ revision }: Options): Promise<Revision> {
  const { SOURCE_DATE_EPOCH: epoch } = process.env;
  const known = revision === undefined ? await committed() : null;
  const seconds = epoch === undefined ? known?.epoch : Number(epoch);
  if (seconds === undefined || !Number.isSafeInteger(seconds) || seconds < 0)
    throw new ReleaseError(
      "BadArgument",
      "with --revision, SOURCE_DATE_EPOCH says when that was, in seconds since 1970",
    );
  return { revision: revision ?? known?.revision ?? "", epoch: seconds };
}

try {
  await command.parseAsync();
} catch (error) {
  if (!(error instanceof CodedError)) throw error;
  process.stderr.write(`release: ${error.message}\n`);
  process.exitCode = error.code === "BadArgument" ? 2 : 1;
}
