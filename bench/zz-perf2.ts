// scratch: A/B with a lean generator in this process
import { mkdtemp, rm, readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect } from "node:tls";
import { chooseCores } from "./cores.ts";
import { counter } from "./server.ts";
import { startServers } from "./servers.ts";
import { podReview } from "./reviews.ts";
const [rounds, count, replicas, ...programs] = process.argv.slice(2);
const R = Number(replicas), N = Number(count), W = 16;
const variety = { plans: 50, replicas: R };
const cores = await chooseCores();
const ring: Buffer[] = [];
const RING = 6000;
function fill(path: string) {
  return Array.from({ length: RING }, (_, i) => {
    const body = Buffer.from(JSON.stringify(podReview(i * (R > 1 ? 1 : 1) + 1, variety)));
    return Buffer.concat([Buffer.from(`POST ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: Go-http-client/1.1\r\nContent-Length: ${body.length}\r\nContent-Type: application/json\r\nAccept-Encoding: gzip\r\n\r\n`), body]);
  });
}
const rings: Record<string, Buffer[]> = { "/mutate": fill("/mutate"), "/mutate/namespace": fill("/mutate/namespace") };
const servers: { name: string; url: URL; server: any; ca: string; all: any[]; conns: any[] }[] = [];
const folders: string[] = [];
process.env["NODE_OPTIONS"]="--perf-basic-prof";
for (const [i, program] of programs.entries()) {
  const folder = await mkdtemp(join(tmpdir(), "wasmount-ab-"));
  folders.push(folder);
  const s = await startServers({ folder, core: cores?.server, program, profile: null, path: "/mutate/namespace", variety });
  const ca = await readFile(s.caFile, "utf8");
  servers.push({ name: program, url: new URL(s.wasmount.url), server: s.wasmount, ca, all: [s.wasmount, s.baseline], conns: [] });
  if (i === 0) servers.unshift({ name: "baseline", url: new URL(s.baseline.url), server: s.baseline, ca, all: [], conns: [] });
}
let next = 0;
async function load(s: (typeof servers)[0], n: number) {
  const reqs = rings[s.url.pathname]!;
  if (s.conns.length === 0) {
    for (let i = 0; i < W; i++) {
      const c = connect({ host: "127.0.0.1", port: Number(s.url.port), ca: s.ca, servername: "localhost" });
      await new Promise(r => c.once("secureConnect", r));
      s.conns.push(c);
    }
  }
  let sent = 0, got = 0;
  await new Promise<void>((resolve, reject) => {
    for (const c of s.conns) {
      c.removeAllListeners("data"); c.removeAllListeners("error");
      let have = 0, need = -1, buf = "";
      const go = () => { if (sent < n) { sent++; have = 0; need = -1; buf = ""; c.write(reqs[next++ % RING]!); } };
      c.on("data", (d: Buffer) => {
        have += d.length;
        if (need < 0) {
          buf += d.latin1Slice(0, d.length);
          const e = buf.indexOf("\r\n\r\n");
          if (e < 0) return;
          if (!buf.startsWith("HTTP/1.1 200")) return reject(new Error(buf));
          need = e + 4 + Number(/content-length: (\d+)/i.exec(buf)![1]);
        }
        if (have >= need) { got++; if (got === n) resolve(); else go(); }
      });
      c.on("error", reject);
      go();
    }
  });
}
const cpu = async (s: any) => counter(await s.server.metrics(), "process_cpu_seconds_total");
for (const s of servers) await load(s, Number(process.env["WARM"] ?? 5000));

import { spawn } from "node:child_process";
for (const s of servers) {
  const pid = (s.server as any).pid;
  const p = spawn("perf", ["record", "-q", "-e", "cpu-clock", "-F", "1499", "-g", "-p", String(pid), "-o", `${process.env["OUT"]}-${s.name === "baseline" ? "b" : "w"}.data`], { stdio: "inherit" });
  const c0 = await cpu(s);
  await load(s, N);
  console.log(s.name, ((await cpu(s)) - c0) / N * 1e6);
  p.kill("SIGINT");
  await new Promise(r => p.on("exit", r));
}
for (const s of servers) { for (const c of s.conns) c.destroy(); for (const one of s.all) await one.stop(); }
for (const f of folders) await rm(f, { recursive: true });
process.exit(0);
