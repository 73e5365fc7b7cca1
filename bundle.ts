import { execFile } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { type BuildOptions, build, type Plugin } from "esbuild";
import { COMMANDS, FETCHER } from "./src/cli/image-files.ts";

const OPTIONS = {
  bundle: true,
  platform: "node",
  target: "node24",
  legalComments: "linked",
} as const satisfies BuildOptions;

/**
 * Bundles a program and all its dependencies into one file.
 * @returns the files that it is made of, relative to the working folder
 */
export async function bundle(entry: string, outfile: string): Promise<readonly string[]> {
  return built({
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
const API_CLIENTS = /node_modules\/(@kubernetes\/client-node\/dist\/gen\/index|undici\/index)\.js$/;
const withoutApiClients: Plugin = {
  name: "without-api-clients",
  setup(build) {
    build.onLoad({ filter: API_CLIENTS }, () => ({
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
const REQUEST_CACHE = /node_modules\/cacache\/lib\/index\.js$/;
const withoutRequestCache: Plugin = {
  name: "without-request-cache",
  setup(build) {
    build.onLoad({ filter: REQUEST_CACHE }, () => ({
      loader: "js",
      contents: "module.exports = {};",
    }));
  },
};

/** What images run, without compiled code: the same bytes wherever they are made. */
export interface ImageBundle {
  /** The path of the file that Node starts. */
  readonly entry: string;
  /** The path of the fetcher's script. */
  readonly fetcher: string;
  /** The files that went in, ours and those of packages, relative to the working folder. */
  readonly inputs: readonly string[];
}

/**
 * wasmount as images run it: an entry that starts either the fetcher, a script with its compiled code beside it, or the
 * command line.
 * @returns the path of the entry
 */
export async function bundleImage(folder: string): Promise<string> {
  const { entry, fetcher } = await bundlePrograms(folder);
  await compile(fetcher);
  return entry;
}

/** The same without the compiled code. */
export async function bundlePrograms(folder: string): Promise<ImageBundle> {
  const entry = join(folder, "wasmount.mjs");
  const fetcher = join(folder, FETCHER);
  const inputs = [
    await bundle(source("src/cli/main.ts"), join(folder, COMMANDS)),
    await built({ ...OPTIONS, entryPoints: [source("src/cli/image.ts")], outfile: entry, format: "esm" }),
    await built({
      ...OPTIONS,
      entryPoints: [source("src/cli/fetch-process.ts")],
      outfile: fetcher,
      format: "cjs",
      charset: "ascii",
      minifyWhitespace: true,
      // What is loaded late is loaded by require: a script of vm has no import.
      supported: { "dynamic-import": false },
      // The same clock without node:perf_hooks, which takes longer to load than all that is timed here.
      define: { performance: "wasmountClock" },
      banner: { js: "const wasmountClock = { now: () => Number(process.hrtime.bigint()) / 1e6 };" },
    }),
  ];
  return { entry, fetcher, inputs: [...new Set(inputs.flat())].sort() };
}

/** Writes V8's compiled code of the fetcher beside its script: for this Node on this kind of machine alone. */
export async function compile(fetcher: string): Promise<void> {
  // In a process of its own: compiled code is of the flags that V8 has in the fetcher.
  await promisify(execFile)(process.execPath, [source("compile.ts"), "fetch", fetcher]);
}

/** @returns the inputs of which something is in the output, without those that a plugin has replaced */
async function built(options: BuildOptions): Promise<readonly string[]> {
  const { outputs } = (await build({ ...options, metafile: true })).metafile;
  return Object.values(outputs)
    .flatMap(({ inputs }) => Object.entries(inputs))
    .filter(([path, { bytesInOutput }]) => bytesInOutput > 0 && !API_CLIENTS.test(path) && !REQUEST_CACHE.test(path))
    .map(([path]) => path);
}

function source(path: string): string {
  return fileURLToPath(new URL(path, import.meta.url));
}
