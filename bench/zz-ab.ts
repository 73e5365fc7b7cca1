// scratch, never committed
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { binaryOf } from "../test/environment/cluster/binaries.ts";
import { chooseCores } from "./cores.ts";
import { Bench } from "./measurement.ts";
import { startServers } from "./servers.ts";
const [rounds, count, replicas, ...programs] = process.argv.slice(2);
const variety = { plans: 50, replicas: Number(replicas) };
const vegeta = await binaryOf("vegeta", () => {});
const cores = await chooseCores();
const folders: string[] = [];
const servers: { name: string; server: any; bench: Bench; ca: string; all: any[] }[] = [];
for (const [i, program] of programs.entries()) {
  const folder = await mkdtemp(join(tmpdir(), "wasmount-ab-"));
  folders.push(folder);
  const profile = process.env.PROFILE ?? null;
  const s = await startServers({ folder, core: cores?.server, program, profile, path: "/mutate/namespace", variety });
  const bench = new Bench({ vegeta, core: cores?.load, caFile: s.caFile, folder, variety });
  servers.push({ name: program, server: s.wasmount, bench, ca: s.caFile, all: [s.wasmount, s.baseline] });
  if (i === 0) servers.unshift({ name: "baseline", server: s.baseline, bench, ca: s.caFile, all: [] });
}
const n = Number(count);
for (const s of servers) await s.bench.measure(s.server, { kind: "closed", workers: Number(process.env.WORKERS ?? 16), until: { count: Number(process.env.WARM ?? 6000) } });
const us: number[][] = servers.map(() => []);
const rss: number[][] = servers.map(() => []);
for (let r = 0; r < Number(rounds); r += 1) {
  const order = servers.map((_, i) => (i + r) % servers.length);
  for (const i of order) {
    const m = await servers[i]!.bench.measure(servers[i]!.server, { kind: "closed", workers: Number(process.env.WORKERS ?? 16), until: { count: n } });
    us[i]!.push((m.cpuSeconds / m.requests) * 1e6);
    rss[i]!.push(m.memory.now / 1048576);
  }
}
const med = (x: number[]) => x.toSorted((a, b) => a - b)[Math.floor((x.length - 1) / 2)]!;
const q = (x: number[], p: number) => x.toSorted((a, b) => a - b)[Math.floor((x.length - 1) * p)]!;
for (const [i, s] of servers.entries()) {
  const ratios = us[0]!.map((b, r) => b / us[i]![r]!);
  console.log(`${s.name.padEnd(40)} us ${med(us[i]!).toFixed(0)} min ${Math.min(...us[i]!).toFixed(0)} | ratio of baseline med ${(100 * med(ratios)).toFixed(1)} [${(100 * q(ratios, 0.25)).toFixed(1)}..${(100 * q(ratios, 0.75)).toFixed(1)}] ofmin ${(100 * Math.min(...us[0]!) / Math.min(...us[i]!)).toFixed(1)} | rss ${rss[i]!.at(-1)!.toFixed(0)}`);
}
for (const s of servers) for (const one of s.all) await one.stop();
for (const f of folders) await rm(f, { recursive: true });
