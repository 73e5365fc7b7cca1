import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { Option } from "commander";
import { bundleImage } from "../bundle.ts";
import { createAuthority, issueServerCertificate } from "../src/certs/authority.ts";
import { binaryOf } from "../test/environment/cluster/binaries.ts";
import { startDistributionRegistry } from "../test/environment/distribution-registry.ts";
import { p256 } from "../test/trust/samples.ts";
import { benchmark, end, integer, progress, thisMachine } from "./command.ts";
import { chooseCores } from "./cores.ts";
import { type Contender, orasPull, removeRun, startNode, wasmountFetch } from "./fetch-contenders.ts";
import { pushPadded, signImage } from "./fetch-module.ts";
import { type FetchResult, fetchTable, summary } from "./fetch-report.ts";
import { type ProcessCost, ProcessMeter } from "./process-cost.ts";

interface Options {
  readonly rounds: number;
  readonly sizes: readonly number[];
  readonly program?: string;
  readonly profile?: string;
  readonly tls?: boolean;
  readonly json?: true;
}

await benchmark<Options>(
  "bench:fetch",
  "Measures `wasmount fetch` against `oras pull` of the same image from the same registry: the whole process, from exec to exit, on one core, over loopback. Wall and CPU time, peak of resident memory.",
  main,
)
  .addOption(
    new Option("--rounds <n>", "runs of each program for each size, whose median counts")
      .default(15)
      .argParser(integer(1, 1001)),
  )
  .addOption(
    new Option("--sizes <list>", "sizes of modules in MiB, separated by commas")
      .default([1, 20, 100], "1,20,100")
      .argParser(text => text.split(",").map(integer(1, 1024))),
  )
  .addOption(new Option("--program <file>", "the entry of another build of wasmount, in place of this checkout's"))
  .addOption(new Option("--profile <folder>", "write a CPU profile of each of our runs there (it slows them)"))
  .option("--tls", "speak TLS with the registry, by an authority that both programs are told of")
  .option("--json", "print the result, each single run included, as JSON")
  .addHelpText(
    "after",
    `
Examples:
  npm run bench:fetch
  npm run bench:fetch -- --rounds 51 --json > result.json
  npm run bench:fetch -- --sizes 256 --rounds 5
  npm run bench:fetch -- --tls
  npm run bench:fetch -- --program ../older/dist/wasmount.mjs

oras and the registry are built from their pinned Go modules on first use; python3 measures the processes (wait4).
Linux only. All traffic stays on loopback. Exit status: 0 measured, 1 failed, 2 wrong usage.`,
  )
  .parseAsync();

async function main({ rounds, sizes, program, profile, tls = false, json }: Options): Promise<void> {
  const oras = await binaryOf("oras", progress);
  const cores = await chooseCores();
  const folder = await mkdtemp(join(tmpdir(), "wasmount-bench-"));
  const { registry, stop } = await startRegistry(folder, tls);
  const meter = new ProcessMeter(cores?.server ?? null);
  try {
    progress("bundling");
    const entry = program === undefined ? await bundleImage(join(folder, "dist")) : resolve(program);
    const results: FetchResult[] = [];
    const profiles = profile === undefined ? null : resolve(profile);
    for (const [index, mebibytes] of sizes.entries()) {
      progress(`pushing a module of ${mebibytes} MiB`);
      const image = await pushPadded(oras, registry, mebibytes * 1024 * 1024, folder);
      const contenders: Contender[] = [
        wasmountFetch(entry, image, { profile: profiles }),
        orasPull(oras, image),
        startNode(),
      ];
      // What a signature costs doesn't grow with the module.
      if (index === 0) {
        const signedBy = p256();
        await signImage(image, signedBy);
        contenders.push(wasmountFetch(entry, image, { signedBy }));
      }
      const costs = await takeTurns(contenders, meter, folder, rounds, `${mebibytes} MiB`);
      results.push({ mebibytes, programs: contenders.map(({ name }, index) => summary(name, costs[index] ?? [])) });
    }
    end();
    const machine = thisMachine();
    const report = { machine, tls, pinned: cores !== null, rounds, load: meter.loads, results };
    process.stdout.write(json ? `${JSON.stringify(report, null, 2)}\n` : fetchTable(report));
  } finally {
    await meter.close();
    await stop();
    await rm(folder, { recursive: true });
  }
}

async function startRegistry(folder: string, tls: boolean) {
  if (!tls) {
    const { address, stop } = await startDistributionRegistry(folder, "127.0.0.1", progress);
    return { registry: { address, authority: null }, stop };
  }
  const { certificate: pem, ...authority } = await createAuthority("bench", 1, new Date());
  const file = join(folder, "authority.pem");
  await writeFile(file, pem);
  const server = await issueServerCertificate({ certificate: pem, ...authority }, ["127.0.0.1"], 1, new Date());
  const { address, stop } = await startDistributionRegistry(folder, "127.0.0.1", progress, { tls: server });
  return { registry: { address, authority: { pem, file } }, stop };
}

/** In turns, so that what else the machine does meets all alike. The first turn fills caches and doesn't count. */
async function takeTurns(
  contenders: readonly Contender[],
  meter: ProcessMeter,
  folder: string,
  rounds: number,
  what: string,
): Promise<ProcessCost[][]> {
  const costs: ProcessCost[][] = contenders.map(() => []);
  for (let round = 0; round <= rounds; round += 1) {
    progress(`${what}: round ${round} of ${rounds}`);
    for (const [index, contender] of contenders.entries()) {
      const target = await mkdtemp(join(folder, "run-"));
      const cost = await meter.run(contender.command(target), join(folder, "run.log"));
      await contender.check(target);
      // At once, so that nobody's sync pays for what another one wrote.
      await removeRun(target);
      if (round > 0) costs[index]?.push(cost);
    }
  }
  return costs;
}
