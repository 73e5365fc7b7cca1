import { Command } from "commander";
import type { Place } from "../images/place.ts";
import type { Reference } from "../oci/reference.ts";
import { printable } from "../printable.ts";
import type { LayoutFolder } from "../store/layout-folder.ts";
import { EXIT_CODES, type ImageFlags, type RegistryFlags, withImageFlags, withRegistryFlags } from "./image-flags.ts";
import { type ImageVerb, type Outcome, runImageVerb } from "./image-verb.ts";

type ListOptions = ImageFlags & RegistryFlags;

/** The verb `wasmount list`. */
export function listCommand(): Command {
  const command = new Command("list")
    .alias("ls")
    .summary("list the local store, or a repository's tags")
    .description("Lists the images of the local store or of an OCI image layout, or the tags of a repository.")
    .argument("[place]", "a repository, or oci:FOLDER");
  return withImageFlags(withRegistryFlags(command))
    .addHelpText(
      "after",
      `
The size is that of an image's blobs, compressed as they are; the ABI is what its module declares.

Examples:
  $ wasmount list
  $ wasmount list registry.example/team/filter
  $ wasmount list oci:./bundle
  $ wasmount list --json | jq -r '.images[] | select(.abi == null) | .name'

${EXIT_CODES}
`,
    )
    .action(async (text: string | undefined, options: ListOptions) => {
      const { parsePlace } = await import("../images/place.ts");
      const place = () => (text === undefined ? null : parsePlace(text));
      const places = () => [place()].flatMap(one => (one === null ? [] : [[one, options] as const]));
      await runImageVerb("list", "listing", options, places, verb => list(place(), verb));
    });
}

async function list(place: Place | null, verb: ImageVerb): Promise<Outcome> {
  const { LayoutFolder } = await import("../store/layout-folder.ts");
  const { ImageError } = await import("../images/error.ts");
  if (place === null) return listLayout(await LayoutFolder.create(verb.store));
  if (place.kind === "registry") return listTags(place.reference, verb);
  if (place.kind === "folder" && place.name === null) return listLayout(await LayoutFolder.open(place.path));
  throw new ImageError("WrongPlace", "only a repository's tags or a whole folder can be listed; see wasmount inspect");
}

async function listTags({ registry, repository, tag, digest }: Reference, verb: ImageVerb): Promise<Outcome> {
  const { ImageError } = await import("../images/error.ts");
  if (tag !== null || digest !== null)
    throw new ImageError(
      "WrongPlace",
      "a repository is named without a tag or digest; see wasmount inspect for an image",
    );
  const tags = await verb.client.tags(registry, repository, verb.signal);
  return { text: tags.map(one => `${one}\n`).join(""), json: { repository: `${registry}/${repository}`, tags } };
}

async function listLayout(layout: LayoutFolder): Promise<Outcome> {
  const { listImages } = await import("../images/listing.ts");
  const { sizeText } = await import("../images/size-text.ts");
  const images = await listImages(layout);
  const rows = images.map(({ name, tag, digest, size, damaged, abi, created }) => [
    name,
    tag ?? "-",
    digest.slice(0, "sha256:".length + 12),
    size === null ? (damaged ? "damaged" : "-") : sizeText(size),
    abi ?? "-",
    created ?? "-",
  ]);
  return {
    text: table([["NAME", "TAG", "DIGEST", "SIZE", "ABI", "CREATED"], ...rows]),
    json: { folder: layout.path, images },
  };
}

/** Rows in columns. What stands in them was written by strangers. */
function table(rows: readonly (readonly string[])[]): string {
  const cells = rows.map(row => row.map(printable));
  const widths = (cells[0] ?? []).map((_, column) => Math.max(...cells.map(row => row[column]?.length ?? 0)));
  const lines = cells.map(row =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join("  ")
      .trimEnd(),
  );
  return `${lines.join("\n")}\n`;
}
