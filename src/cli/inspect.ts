import { Command } from "commander";
import { namesFile, PLACES } from "../images/place.ts";
import { newestEnvoyVersion } from "../wasm/envoy-version.ts";
import {
  EXIT_CODES,
  envoyVersion,
  type ImageFlags,
  type RegistryFlags,
  withBlobFlag,
  withImageFlags,
  withPlatformFlag,
  withRegistryFlags,
} from "./image-flags.ts";
import { type ImageVerb, type Outcome, runImageVerb } from "./image-verb.ts";

interface InspectOptions extends ImageFlags, RegistryFlags {
  readonly envoyVersion: string;
  readonly platform?: string;
}

/** The verb `wasmount inspect PLACE|FILE`. */
export function inspectCommand(): Command {
  const command = new Command("inspect")
    .summary("say what an image is")
    .description(
      "Says what an image is: manifest, layout, digest, what an index lists, the module's ABI, imports and size, " +
        "annotations, and which signatures are there. Of a file, what module it is.",
    )
    .argument("<place>", "a reference, one of the places below, or a .wasm file")
    .option("--envoy-version <version>", "the Envoy release to check for", envoyVersion, newestEnvoyVersion);
  return withImageFlags(withRegistryFlags(withBlobFlag(withPlatformFlag(command))))
    .addHelpText(
      "after",
      `
Places:
${PLACES}

What begins with "/", "./" or "../" or ends in ".wasm" is a file. Signatures are listed as what is there: nothing is said
of who made them, and they are not verified.

Examples:
  $ wasmount inspect registry.example/team/filter:1.0
  $ wasmount inspect registry.example/team/filter:1.0 --json | jq .module.abi
  $ wasmount inspect registry.example/team/filter:1.0 --platform linux/arm64
  $ wasmount inspect oci:./bundle
  $ wasmount inspect ./filter.wasm

${EXIT_CODES}
`,
    )
    .action(async (text: string, options: InspectOptions) => {
      const { parsePlace } = await import("../images/place.ts");
      const places = () => (namesFile(text) ? [] : [[parsePlace(text), options] as const]);
      await runImageVerb("inspect", "fetching", options, places, verb =>
        namesFile(text) ? inspectFile(text, options.envoyVersion) : inspect(text, options, verb),
      );
    });
}

async function inspectFile(file: string, envoy: string): Promise<Outcome> {
  const { fileReport } = await import("../images/module.ts");
  const { reportText } = await import("../wasm/report-text.ts");
  const report = await fileReport(file, envoy);
  return { text: reportText(file, report, envoy), json: { file, envoyVersion: envoy, ...report } };
}

async function inspect(
  text: string,
  { envoyVersion: envoy, platform }: InspectOptions,
  verb: ImageVerb,
): Promise<Outcome> {
  const { inspectImage } = await import("../images/inspection.ts");
  const { inspectionText } = await import("../images/inspection-text.ts");
  const { withSource } = await import("../images/open-place.ts");
  const { parsePlace } = await import("../images/place.ts");
  const { client, temporary, watcher, signal } = verb;
  const request = { platform, envoyVersion: envoy, temporary, limits: client.limits, watcher, signal };
  const inspection = await withSource(parsePlace(text), verb, source => inspectImage(source, request));
  return { text: inspectionText(inspection, envoy), json: { envoyVersion: envoy, ...inspection } };
}
