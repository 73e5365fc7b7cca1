import { join } from "node:path";
import { digestOf } from "../../src/oci/digest.ts";
import { OCI_MANIFEST } from "../../src/oci/media-types.ts";
import { LayoutFolder } from "../../src/store/layout-folder.ts";
import { locked } from "../../src/store/lock.ts";

/** A process that writes names into a layout's index, or that takes its lock and holds it until it is killed. */
const [path = "", name = "", count = "0"] = process.argv.slice(2);
if (name === "hold") {
  await locked(join(path, "index.json.lock"), undefined, async () => {
    process.stdout.write("held\n");
    await new Promise(resolve => setTimeout(resolve, 1_000_000));
  });
}
const layout = await LayoutFolder.create(path);
for (let at = 0; at < Number(count); at += 1) {
  const bytes = Buffer.from(`${name}${at}`);
  await layout.setEntry({ mediaType: OCI_MANIFEST, digest: digestOf(bytes), size: bytes.length }, `${name}${at}`);
}
