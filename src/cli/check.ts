import { open } from "node:fs/promises";
import { Command } from "commander";
import { messageOf } from "../error.ts";
import { checkModule, type ModuleReport } from "../wasm/check.ts";
import { newestEnvoyVersion } from "../wasm/envoy-version.ts";
import { bytesSource, fileSource } from "../wasm/module-source.ts";
import { reportText } from "../wasm/report-text.ts";
import { envoyVersion } from "./image-flags.ts";

interface CheckOptions {
  readonly envoyVersion: string;
  readonly json?: true;
}

type Outcome = { readonly file: string } & (
  | { readonly report: ModuleReport }
  | { readonly error: string; readonly report?: undefined }
);

/** Exit codes: 0 all modules are good, 1 at least one is refused, 2 a usage error or a file that can't be read. */
const exitCodes = { good: 0, refused: 1, unreadable: 2 } as const;

/** What is read of a pipe at most, in bytes. Files are read in place, whatever their size. */
const longestStream = 256 * 1024 * 1024;

/** The verb `wasmount check FILE...`: what a module is, and whether Envoy can load it. */
export function checkCommand(): Command {
  return new Command("check")
    .summary("say whether Envoy can load a Wasm module")
    .description(
      "Reads Wasm modules without running or compiling them: their Proxy-Wasm ABI, imports, exports, memory and custom " +
        "sections, and every reason why Envoy would refuse them. What is inside function bodies is left to Envoy.",
    )
    .argument("<file...>", 'modules to check; "-" is the standard input')
    .option("--envoy-version <version>", "the Envoy release to check for", envoyVersion, newestEnvoyVersion)
    .option("--json", "print one JSON document: {envoyVersion, modules: [{file, …}]}")
    .addHelpText(
      "after",
      `
Examples:
  $ wasmount check filter.wasm                        is it a good module for the newest Envoy?
  $ wasmount check --envoy-version 1.36 *.wasm        … for an older one?
  $ oras blob fetch --output - "$REF" | wasmount check --json - | jq '.modules[].abi'

Exit codes: 0 every module is good, 1 a module is refused, 2 wrong usage or a file that can't be read.
`,
    )
    .action(async (files: string[], options: CheckOptions) => {
      const outcomes: Outcome[] = [];
      for (const file of files) outcomes.push(await check(file, options.envoyVersion));
      if (options.json) printJson(outcomes, options.envoyVersion);
      else printText(outcomes, options.envoyVersion);
      process.exitCode = Math.max(...outcomes.map(exitCode));
    });
}

async function check(file: string, version: string): Promise<Outcome> {
  try {
    return { file, report: await reportOf(file, version) };
  } catch (error) {
    return { file, error: messageOf(error) };
  }
}

async function reportOf(file: string, version: string): Promise<ModuleReport> {
  const options = { envoyVersion: version };
  if (file === "-") return checkModule(bytesSource(await readAll(process.stdin)), options);
  const handle = await open(file);
  try {
    if ((await handle.stat()).isFile()) return checkModule(fileSource(handle.fd), options);
    // A pipe is opened once: a second reader would find its writer gone.
    return checkModule(bytesSource(await readAll(handle.createReadStream({ autoClose: false }))), options);
  } finally {
    await handle.close();
  }
}

async function readAll(stream: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of stream) {
    size += chunk.length;
    if (size > longestStream)
      throw new Error(`more than ${longestStream} bytes came; write them to a file and check that`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function printText(outcomes: readonly Outcome[], version: string): void {
  for (const { file, ...outcome } of outcomes)
    if (outcome.report) process.stdout.write(reportText(file, outcome.report, version));
    else process.stderr.write(`wasmount: ${file} can't be read: ${outcome.error}\n`);
}

function printJson(outcomes: readonly Outcome[], version: string): void {
  const modules = outcomes.map(({ file, report, ...rest }) => ({ file, ...(report ?? rest) }));
  process.stdout.write(`${JSON.stringify({ envoyVersion: version, modules }, null, 2)}\n`);
}

function exitCode(outcome: Outcome): number {
  if (!outcome.report) return exitCodes.unreadable;
  return outcome.report.ok ? exitCodes.good : exitCodes.refused;
}
