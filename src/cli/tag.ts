import { Command } from "commander";
import { parseReference } from "../oci/reference.ts";
import { EXIT_CODES, type ImageFlags, type RegistryFlags, withImageFlags, withRegistryFlags } from "./image-flags.ts";
import { type ImageVerb, type Outcome, runImageVerb } from "./image-verb.ts";

interface TagOptions extends ImageFlags, RegistryFlags {
  readonly remote?: true;
}

/** The verb `wasmount tag SOURCE TARGET`. */
export function tagCommand(): Command {
  const command = new Command("tag")
    .summary("give an image another name")
    .description("Gives an image of the local store another name or, with --remote, one of a registry another tag.")
    .argument("<source>", "the image's reference")
    .argument("<target>", "its new one; with --remote in the same repository")
    .option("--remote", "in the registry instead of the local store");
  return withImageFlags(withRegistryFlags(command))
    .addHelpText(
      "after",
      `
Examples:
  $ wasmount tag registry.example/team/filter:1.0 mirror.example/filters/filter:1.0
  $ wasmount push mirror.example/filters/filter:1.0
  $ wasmount tag --remote registry.example/team/filter:1.0 registry.example/team/filter:stable

${EXIT_CODES}
`,
    )
    .action(async (source: string, target: string, options: TagOptions) => {
      const places = () =>
        [source, target].map(text => [{ kind: "registry", reference: parseReference(text) }, options] as const);
      await runImageVerb("tag", "tagging", options, places, verb => tag(source, target, options, verb));
    });
}

async function tag(source: string, target: string, { remote }: TagOptions, verb: ImageVerb): Promise<Outcome> {
  const { tagRemote, tagStored } = await import("../images/tag.ts");
  const { formatReference } = await import("../oci/reference.ts");
  const { LayoutFolder } = await import("../store/layout-folder.ts");
  const { pinned } = await import("../images/place.ts");
  const [from, to] = [parseReference(source), parseReference(target)];
  const { digest } = remote
    ? await tagRemote(verb.client, from, to, verb.signal)
    : await tagStored(await LayoutFolder.create(verb.store), from, to, verb.signal);
  const reference = pinned(formatReference({ ...to, tag: to.tag ?? "latest" }), digest);
  return { text: `${reference}\n`, json: { reference, digest } };
}
