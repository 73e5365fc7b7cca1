import { Command } from "commander";
import { PLACES, pinned } from "../images/place.ts";
import {
  EXIT_CODES,
  type ImageFlags,
  type RegistryFlags,
  withBlobFlag,
  withImageFlags,
  withRegistryFlags,
} from "./image-flags.ts";
import { type ImageVerb, type Outcome, runImageVerb } from "./image-verb.ts";

interface CopyOptions extends ImageFlags {
  readonly fromPlainHttp?: boolean;
  readonly fromInsecure?: true;
  readonly fromCaFile?: string;
  readonly toPlainHttp?: boolean;
  readonly toInsecure?: true;
  readonly toCaFile?: string;
  readonly referrers?: true;
  readonly force?: true;
}

/** The verb `wasmount copy SOURCE TARGET`. */
export function copyCommand(): Command {
  const command = new Command("copy")
    .alias("cp")
    .summary("copy an image between registries, folders and tar files")
    .description(
      "Copies an image byte for byte, an index with all that it lists, between registries, OCI image layouts and the " +
        "local store. Blobs are streamed and held to their digests.",
    )
    .argument("<source>", "which image: one of the places below")
    .argument("<target>", "where to")
    .option("-r, --referrers", "copy signatures and whatever else is attached, too")
    .option("-f, --force", "replace a tar file that is there");
  return withImageFlags(withRegistryFlags(withRegistryFlags(withBlobFlag(command), "from-"), "to-"))
    .addHelpText(
      "after",
      `
Places:
${PLACES}

The target's digest is the source's. A name comes last, so that it never names what isn't there whole. Whether a module
is a good one is not looked at: see wasmount inspect.

Examples:
  $ wasmount copy registry.example/team/filter:1.0 mirror.example/filters/filter:1.0
  $ wasmount copy -r registry.example/team/filter:1.0 oci-archive:filter.tar:1.0    for a place without a network
  $ wasmount copy -r oci-archive:filter.tar:1.0 registry.inside/filters/filter:1.0  … and there

${EXIT_CODES}
`,
    )
    .action(async (source: string, target: string, options: CopyOptions) => {
      const { parsePlace } = await import("../images/place.ts");
      const places = () =>
        [
          [parsePlace(source), side(options.fromPlainHttp, options.fromInsecure, options.fromCaFile)],
          [parsePlace(target), side(options.toPlainHttp, options.toInsecure, options.toCaFile)],
        ] as const;
      await runImageVerb("copy", "copying", options, places, verb => copy(source, target, options, verb));
    });
}

function side(plainHttp: boolean | undefined, insecure: true | undefined, caFile: string | undefined): RegistryFlags {
  return {
    ...(plainHttp === undefined ? {} : { plainHttp }),
    ...(insecure === undefined ? {} : { insecure }),
    ...(caFile === undefined ? {} : { caFile }),
  };
}

async function copy(source: string, target: string, options: CopyOptions, verb: ImageVerb): Promise<Outcome> {
  const { copyImage } = await import("../images/copy.ts");
  const { openTarget, withSource } = await import("../images/open-place.ts");
  const { parsePlace } = await import("../images/place.ts");
  const { watcher, signal } = verb;
  const { referrers = false, force = false } = options;
  const from = parsePlace(source);
  const opened = await openTarget(parsePlace(target), verb, { replace: force, from });
  try {
    const copied = await withSource(from, verb, images =>
      copyImage(images, opened.target, { referrers, watcher, signal }),
    );
    await opened.commit(signal);
    const { descriptor, manifests, attachments, blobs } = copied;
    verb.note(`copied ${manifests} manifest(s), ${attachments} of them attached, and ${blobs} blob(s)`);
    const reference = pinned(opened.target.name, descriptor.digest);
    return {
      text: `${reference}\n`,
      json: { reference, ...descriptor, manifests, attachments, blobs, bytes: copied.bytes },
    };
  } finally {
    await opened.discard();
  }
}
