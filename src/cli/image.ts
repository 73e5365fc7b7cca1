import { loadScript } from "./compiled-script.ts";
import type { fetchProcess } from "./fetch-process.ts";
import { COMMANDS, FETCHER } from "./image-files.ts";

// The image's entry. Pods wait for the fetcher: it is a script of its own, with code that was compiled when the image was
// built. All else, and a fetcher that is given arguments, is the command line.
const [, , ...args] = process.argv;
if (args.length === 1 && args[0] === "fetch") {
  const { exported, compiled } = loadScript<{ fetchProcess: typeof fetchProcess }>(`${import.meta.dirname}/${FETCHER}`);
  await exported.fetchProcess(compiled);
  // Node would take the heap down object by object, for nobody.
  process.exit();
} else {
  await import(new URL(COMMANDS, import.meta.url).href);
}
