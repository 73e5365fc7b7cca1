import { execFile } from "node:child_process";
import { mkdir, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { type BuildOptions, build, type Plugin, transform } from "esbuild";
import { COMMANDS, FETCHER } from "./src/cli/image-files.ts";

const OPTIONS = {
  bundle: true,
  platform: "node",
  target: "node24",
  legalComments: "linked",
} as const satisfies BuildOptions;

/** Bundles a program and all its dependencies into one file. */
export async function bundle(entry: string, outfile: string): Promise<void> {
  await build({
    ...OPTIONS,
    entryPoints: [entry],
    outfile,
    format: "esm",
    plugins: [withoutApiClients, withoutRequestCache],
    // Memory that a webhook would hold for good: the program's text stays there for error traces. Names are kept.
    minifyWhitespace: true,
    minifySyntax: true,
    // Dependencies in CommonJS still call require for Node's own modules.
    banner: {
      js: 'import { createRequire as wasmountCreateRequire } from "node:module"; const require = wasmountCreateRequire(import.meta.url);',
    },
  });
}

/**
 * Of the Kubernetes client only the reading of kubeconfigs is used: requests are our own (src/kube/api-server.ts). Its
 * generated API clients, and undici for them, would be a fifth of a webhook's memory before its first review. What is
 * put in their place says so, should it ever be called.
 */
const withoutApiClients: Plugin = {
  name: "without-api-clients",
  setup(build) {
    build.onLoad({ filter: /node_modules\/(@kubernetes\/client-node\/dist\/gen\/index|undici\/index)\.js$/ }, () => ({
      loader: "js",
      contents: `
        function absent() { throw new Error("wasmount's bundle has no generated Kubernetes clients, see bundle.ts"); }
        export { absent as createConfiguration, absent as ServerConfiguration, absent as Agent, absent as ProxyAgent };
      `,
    }));
  },
};

/**
 * Sigstore's services are asked without a cache: @sigstore/sign gives make-fetch-happen no folder for one. Its cache, and
 * what that needs, would be half of what keyless signing adds.
 */
const withoutRequestCache: Plugin = {
  name: "without-request-cache",
  setup(build) {
    build.onLoad({ filter: /node_modules\/cacache\/lib\/index\.js$/ }, () => ({
      loader: "js",
      contents: "module.exports = {};",
    }));
  },
};

/**
 * wasmount as images run it: an entry that starts either the fetcher, a script with its compiled code beside it, or the
 * command line.
 * @returns the path of the entry
 */
export async function bundleImage(folder: string): Promise<string> {
  const entry = join(folder, "wasmount.mjs");
  const fetcher = join(folder, FETCHER);
  await bundle(source("src/cli/main.ts"), join(folder, COMMANDS));
  await build({ ...OPTIONS, entryPoints: [source("src/cli/image.ts")], outfile: entry, format: "esm" });
  await bundleFetcher(folder);
  // In a process of its own: compiled code is of the flags that V8 has in the fetcher.
  await promisify(execFile)(process.execPath, [source("compile.ts"), "fetch", fetcher]);
  return entry;
}

/**
 * The fetcher as scripts for vm: one that every fetch needs, and beside it those that are loaded late. esbuild splits ES
 * modules alone, so that is what it makes first; parts that are always loaded become one script then.
 */
async function bundleFetcher(folder: string): Promise<void> {
  const { outputFiles, metafile } = await build({
    ...OPTIONS,
    entryPoints: { [FETCHER.replace(".cjs", "")]: source("src/cli/fetch-process.ts") },
    outdir: folder,
    outExtension: { ".js": ".cjs" },
    chunkNames: "fetch-[name]-[hash]",
    format: "esm",
    splitting: true,
    write: false,
    metafile: true,
    // The same clock without node:perf_hooks, which takes longer to load than all that is timed here.
    define: { performance: "wasmountClock" },
    banner: { js: "const wasmountClock = { now: () => Number(process.hrtime.bigint()) / 1e6 };" },
  });
  const needs = new Map(
    Object.entries(metafile.outputs).map(([path, { imports }]) => [
      basename(path),
      imports.filter(({ kind, external }) => kind === "import-statement" && !external).map(one => basename(one.path)),
    ]),
  );
  const always = new Set<string>();
  const visit = (name: string) => {
    for (const need of needs.get(name) ?? []) if (!always.has(need)) visit(need);
    always.add(name);
  };
  visit(FETCHER);
  const texts = new Map<string, string>();
  for (const { path, text } of outputFiles) {
    const name = basename(path);
    texts.set(name, name.endsWith(".cjs") ? await scriptOf(text) : text);
  }
  const parts = [...always].filter(name => name !== FETCHER);
  const defined = parts.map(
    name => `require.define("./${name}", function (exports, require, module) {${texts.get(name)}\n});\n`,
  );
  await mkdir(folder, { recursive: true });
  for (const [name, text] of texts) {
    if (name === FETCHER) await writeFile(join(folder, name), [...defined, text].join(""));
    else if (!always.has(name)) await writeFile(join(folder, name), text);
  }
}

async function scriptOf(text: string): Promise<string> {
  const { code } = await transform(text, {
    format: "cjs",
    platform: "node",
    target: OPTIONS.target,
    charset: "ascii",
    minifyWhitespace: true,
    // What is loaded late is loaded by require: a script of vm has no import.
    supported: { "dynamic-import": false },
  });
  return code;
}

function source(path: string): string {
  return fileURLToPath(new URL(path, import.meta.url));
}
