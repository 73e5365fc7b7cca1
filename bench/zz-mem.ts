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
for (const [i, program] of programs.entries()) {
  const folder = await mkdtemp(join(tmpdir(), "wasmount-ab-"));
  folders.push(folder);
  const s = await startServers({ folder, core: cores?.server, program, profile: process.env["PROFILE"] ?? null, path: "/mutate/namespace", variety });
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
const show = async (k: unknown) => { for (const s of servers) { const m = await s.server.memory(); const t = await s.server.metrics(); const g = (n: string, l = "") => (counter(t, n, l) / 1048576).toFixed(1); console.log(s.name, k, "rss", (m.now / 1048576).toFixed(0), "new", g("nodejs_heap_space_size_total_bytes", 'space="new"'), "old", g("nodejs_heap_space_size_total_bytes", 'space="old"')); } };
await show("start"); await new Promise(r => setTimeout(r, Number(process.env["IDLE"] ?? 20) * 1000)); await show("idle");

for (let k = 0; k < Number(rounds); k++) for (const s of servers) {
  await load(s, N);
  const m = await s.server.memory();
  const t = await s.server.metrics();
  const g = (n: string, l = "") => (counter(t, n, l) / 1048576).toFixed(1);
  console.log(s.name, k, "rss", (m.now / 1048576).toFixed(0), "heap total", g("nodejs_heap_size_total_bytes"), "used", g("nodejs_heap_size_used_bytes"), "external", g("nodejs_external_memory_bytes"), "new", g("nodejs_heap_space_size_total_bytes", 'space="new"'), "old", g("nodejs_heap_space_size_total_bytes", 'space="old"'), "oldused", g("nodejs_heap_space_size_used_bytes", 'space="old"'), "code", g("nodejs_heap_space_size_total_bytes", 'space="code"'), "large", g("nodejs_heap_space_size_total_bytes", 'large_object"'));
}
for (const s of servers) { for (const c of s.conns) c.destroy(); for (const one of s.all) await one.stop(); }
for (const f of folders) await rm(f, { recursive: true });
process.exit(0);
