import { Command } from "commander";
import { PLACES, pinned } from "../images/place.ts";
import {
  EXIT_CODES,
  type ImageFlags,
  type RegistryFlags,
  withBlobFlag,
  withCheckFlags,
  withImageFlags,
  withPlatformFlag,
  withRegistryFlags,
} from "./image-flags.ts";
import { type ImageVerb, type Outcome, runImageVerb } from "./image-verb.ts";

interface PullOptions extends ImageFlags, RegistryFlags {
  readonly output?: string;
  readonly force?: true;
  readonly platform?: string;
  readonly envoyVersion: string;
  readonly check: boolean;
}

/** The verb `wasmount pull PLACE`. */
export function pullCommand(): Command {
  const command = new Command("pull")
    .summary("fetch an image's module, verified and checked")
    .description(
      "Fetches an image, holds every byte to its digest, checks that Envoy can load the module, and keeps the image in " +
        "the local store or, with -o, the module as a file.",
    )
    .argument("<place>", "which image: a reference, or one of the places below")
    .option("-o, --output <file>", "write the module to this file")
    .option("-f, --force", "replace the file if it is there");
  return withImageFlags(withRegistryFlags(withCheckFlags(withBlobFlag(withPlatformFlag(command)))))
    .addHelpText(
      "after",
      `
Places:
${PLACES}

Nothing has its name before it is whole: an interrupted pull leaves what was there before. Prints the reference with its
digest.

Examples:
  $ wasmount pull registry.example/team/filter:1.0                    into the local store
  $ wasmount pull registry.example/team/filter:1.0 -o filter.wasm     the module alone
  $ wasmount pull registry.example/team/filter:1.0 --platform linux/amd64
  $ wasmount pull oci-archive:bundle.tar:1.0 -o filter.wasm           from a tar file

${EXIT_CODES}
`,
    )
    .action(async (place: string, options: PullOptions) => {
      const { parsePlace } = await import("../images/place.ts");
      await runImageVerb(
        "pull",
        "pulling",
        options,
        () => [[parsePlace(place), options]],
        verb => pull(place, options, verb),
      );
    });
}

async function pull(text: string, options: PullOptions, verb: ImageVerb): Promise<Outcome> {
  const { withSource } = await import("../images/open-place.ts");
  const { parsePlace } = await import("../images/place.ts");
  const { pullFile, pullToStore } = await import("../images/pull.ts");
  const { storeEntry } = await import("../images/layout-images.ts");
  const { ImageError } = await import("../images/error.ts");
  const { LayoutFolder } = await import("../store/layout-folder.ts");
  const place = parsePlace(text);
  const { output, force = false, platform, envoyVersion, check } = options;
  const { watcher, signal, client } = verb;
  const request = { platform, envoyVersion, unchecked: !check, limits: client.limits, watcher, signal };
  if (output === undefined && place.kind !== "registry")
    throw new ImageError("WrongPlace", `${text} is no registry's; name a file with -o, or use wasmount copy`);
  return withSource(place, verb, async source => {
    const { digest, module } =
      output === undefined && place.kind === "registry"
        ? await pullToStore(source, await LayoutFolder.create(verb.store), storeEntry(place.reference), request)
        : await pullFile(source, output ?? "", force, request);
    const reference = pinned(source.name, digest);
    const { report, layout, moduleSha256, moduleSize, rootIds } = module;
    for (const { code, message } of report.problems)
      verb.note(`Envoy ${envoyVersion} can't load it: ${code}: ${message}`);
    const { abi, problems } = report;
    const json = {
      reference,
      digest,
      layout,
      module: { sha256: moduleSha256, size: moduleSize, abi, rootIds, problems },
      output: output ?? null,
    };
    return { text: `${reference}\n`, json };
  });
}
