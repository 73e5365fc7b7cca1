import { Command } from "commander";
import { printable } from "../printable.ts";
import { EXIT_CODES, type ImageFlags, type RegistryFlags, withImageFlags, withRegistryFlags } from "./image-flags.ts";
import { type ImageVerb, type Outcome, runImageVerb } from "./image-verb.ts";

type ListOptions = ImageFlags & RegistryFlags;

/** The verb `wasmount list`. */
export function listCommand(): Command {
  const command = new Command("list")
    .alias("ls")
    .summary("list the local store")
    .description("Lists the images of the local store.");
  return withImageFlags(withRegistryFlags(command))
    .addHelpText(
      "after",
      `
The size is that of an image's blobs, compressed as they are; the ABI is what its module declares.

Examples:
  $ wasmount list
  $ wasmount list --json | jq -r '.images[] | select(.abi == null) | .name'

${EXIT_CODES}
`,
    )
    .action((options: ListOptions) => runImageVerb("list", "listing", options, () => [], listStore));
}

async function listStore({ store }: ImageVerb): Promise<Outcome> {
  const { listImages } = await import("../images/listing.ts");
  const { sizeText } = await import("../images/size-text.ts");
  const { LayoutFolder } = await import("../store/layout-folder.ts");
  const images = await listImages(await LayoutFolder.create(store));
  const rows = images.map(({ name, tag, digest, size, abi, created }) => [
    name,
    tag ?? "-",
    digest.slice(0, "sha256:".length + 12),
    size === null ? "damaged" : sizeText(size),
    abi ?? "-",
    created ?? "-",
  ]);
  return { text: table([["NAME", "TAG", "DIGEST", "SIZE", "ABI", "CREATED"], ...rows]), json: { store, images } };
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
