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
  await build({
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
  });
  // In a process of its own: compiled code is of the flags that V8 has in the fetcher.
  await promisify(execFile)(process.execPath, [source("compile.ts"), "fetch", fetcher]);
  return entry;
}

function source(path: string): string {
  return fileURLToPath(new URL(path, import.meta.url));
}
