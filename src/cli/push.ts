import { readFile } from "node:fs/promises";
import { Command, InvalidArgumentError, Option } from "commander";
import { messageOf } from "../error.ts";
import { PLACES, pinned } from "../images/place.ts";
import { ROOT_IDS_ANNOTATION } from "../oci/media-types.ts";
import type { RuntimeConfig } from "../oci/runtime-config.ts";
import {
  EXIT_CODES,
  type ImageFlags,
  type RegistryFlags,
  withCheckFlags,
  withImageFlags,
  withRegistryFlags,
} from "./image-flags.ts";
import { type ImageVerb, type Outcome, runImageVerb } from "./image-verb.ts";

interface PushOptions extends ImageFlags, RegistryFlags {
  readonly layout: "cncf" | "compat";
  readonly annotation?: Readonly<Record<string, string>>;
  readonly rootId?: readonly string[];
  readonly config?: string;
  readonly envoyVersion: string;
  readonly check: boolean;
}

/** The verb `wasmount push FILE PLACE`, and of a stored image `wasmount push REFERENCE`. */
export function pushCommand(): Command {
  const command = new Command("push")
    .summary("push a module to a registry")
    .description(
      "Makes an image of a module and pushes it, after a check that Envoy can load it. With one argument, pushes the " +
        "image that the local store holds under that reference.",
    )
    .usage("[options] FILE PLACE\n       wasmount push [options] REFERENCE")
    .argument("<file>", "the module, a .wasm file; alone, the reference of a stored image")
    .argument("[place]", "where to: a reference, or one of the places below")
    .addOption(
      new Option("--layout <name>", "how the image holds the module").choices(["cncf", "compat"]).default("cncf"),
    )
    .option("--annotation <key=value>", "an annotation of the manifest (repeatable)", annotation)
    .option("--root-id <id>", "a root id of the module; the first is the default (repeatable)", collected)
    .addOption(
      new Option("--config <file>", "take root ids and ABI labels from a runtime-config.json").conflicts("rootId"),
    );
  return withImageFlags(withRegistryFlags(withCheckFlags(command)))
    .addHelpText(
      "after",
      `
Places:
${PLACES}

The layout "cncf" is a Wasm artifact as the CNCF describes it: what wasmount, wkg and oras read. "compat" is a container
image with plugin.wasm in its last layer: what wasmount, Istio, Envoy Gateway and Kubernetes image volumes read. The same
module and options give the same digest at any time, and everywhere ("compat": with the same release of Node).

Prints the reference with its digest: what to write into a pod's annotation.

A module that --envoy-version can't load is refused with all reasons; --no-check pushes it all the same, for another Envoy.
What is no whole core module is never pushed.

Examples:
  $ wasmount push filter.wasm registry.example/team/filter:1.0
  $ wasmount push filter.wasm registry.example/team/filter:1.0 --layout compat --root-id headers
  $ wasmount push filter.wasm oci:./bundle:1.0        into a folder, without a registry
  $ wasmount push registry.example/team/filter:1.0    from the local store

${EXIT_CODES}
`,
    )
    .action(async (file: string, place: string | undefined, options: PushOptions) => {
      const { parsePlace } = await import("../images/place.ts");
      const to = () => parsePlace(place ?? file);
      await runImageVerb(
        "push",
        "pushing",
        options,
        () => [[to(), options]],
        verb => (place === undefined ? pushStored(file, verb) : pushModuleFile(file, place, options, verb)),
      );
    });
}

async function pushModuleFile(file: string, place: string, options: PushOptions, verb: ImageVerb): Promise<Outcome> {
  const { openTarget } = await import("../images/open-place.ts");
  const { parsePlace } = await import("../images/place.ts");
  const { pushFile } = await import("../images/push.ts");
  const { layout, envoyVersion, annotation: annotations = {}, check } = options;
  const { watcher, signal } = verb;
  const { rootIds, abiVersions } = await runtimeConfig(options);
  const { target, commit, discard } = await openTarget(parsePlace(place), verb, { replace: false, from: null });
  try {
    const request = {
      file,
      layout,
      rootIds,
      abiVersions,
      annotations,
      envoyVersion,
      unchecked: !check,
      watcher,
      signal,
    };
    const { descriptor, report } = await pushFile(target, request);
    await commit(signal);
    for (const { code, message } of report.problems)
      verb.note(`Envoy ${envoyVersion} can't load it: ${code}: ${message}`);
    const reference = pinned(target.name, descriptor.digest);
    const { size, abi, problems } = report;
    return { text: `${reference}\n`, json: { reference, ...descriptor, layout, module: { size, abi, problems } } };
  } finally {
    await discard();
  }
}

async function pushStored(reference: string, verb: ImageVerb): Promise<Outcome> {
  const { copyImage } = await import("../images/copy.ts");
  const { openTarget, withSource } = await import("../images/open-place.ts");
  const { namesFile, parsePlace } = await import("../images/place.ts");
  const { ImageError } = await import("../images/error.ts");
  const place = parsePlace(reference);
  if (namesFile(reference) || place.kind !== "registry")
    throw new ImageError(
      "WrongPlace",
      `${reference} is not a stored image's reference; write wasmount push FILE PLACE`,
    );
  const { watcher, signal } = verb;
  const { target } = await openTarget(place, verb, { replace: false, from: null });
  const copied = await withSource({ kind: "store", reference: place.reference }, verb, source =>
    copyImage(source, target, { referrers: true, watcher, signal }),
  );
  const pushed = pinned(target.name, copied.descriptor.digest);
  return { text: `${pushed}\n`, json: { reference: pushed, ...copied.descriptor } };
}

/** What the module says of itself: flags, or the file that wasme's templates came with. */
async function runtimeConfig({
  rootId = [],
  config,
}: PushOptions): Promise<Pick<RuntimeConfig, "rootIds" | "abiVersions">> {
  if (config === undefined) return { rootIds: rootId, abiVersions: [] };
  const { readRuntimeConfig } = await import("../oci/runtime-config.ts");
  const { ImageError } = await import("../images/error.ts");
  try {
    return readRuntimeConfig(await readFile(config));
  } catch (error) {
    throw new ImageError("BadFile", `${config} can't be used as a runtime configuration: ${messageOf(error)}`);
  }
}

/** A key may stand once: which of two values its author meant, nobody knows. */
function annotation(text: string, before: Readonly<Record<string, string>> = {}): Readonly<Record<string, string>> {
  const at = text.indexOf("=");
  const key = text.slice(0, Math.max(at, 0)).trim();
  if (key === "") throw new InvalidArgumentError("write KEY=VALUE.");
  if (Object.hasOwn(before, key)) throw new InvalidArgumentError(`${key} stands there twice.`);
  if (key === ROOT_IDS_ANNOTATION) throw new InvalidArgumentError("--root-id writes that annotation.");
  return { ...before, [key]: text.slice(at + 1) };
}

function collected(value: string, before: readonly string[] = []): readonly string[] {
  return [...before, value];
}
