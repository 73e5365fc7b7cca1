import { generateKeyPairSync } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { request } from "node:https";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { stringify } from "yaml";
import { bundle, bundleImage } from "../bundle.ts";
import type { ReviewResponse } from "../src/admission/response.ts";
import { createAuthority, issueServerCertificate } from "../src/certs/authority.ts";
import { namespace, podReview, type Variety } from "./reviews.ts";
import { type Server, startServer } from "./server.ts";

export interface ServersOptions {
  /** A folder of this run's own. */
  readonly folder: string;
  readonly core: number | undefined;
  /** A bundle of wasmount; null bundles this checkout. */
  readonly program: string | null;
  /** Folder for CPU profiles; null takes none. */
  readonly profile: string | null;
  /** Path of the entry that is called. */
  readonly path: string;
  readonly variety: Variety;
}

export interface Servers {
  readonly wasmount: Server;
  readonly baseline: Server;
  readonly caFile: string;
}

const source = (path: string) => fileURLToPath(new URL(path, import.meta.url));

/** Starts `wasmount webhook` with signed plans and its default log level, and the baseline, both as bundles. */
export async function startServers({
  folder,
  core,
  program,
  profile,
  path,
  variety,
}: ServersOptions): Promise<Servers> {
  const profiling = (name: string) =>
    profile === null ? [] : ["--cpu-prof", `--cpu-prof-dir=${profile}`, `--cpu-prof-name=${name}.cpuprofile`];
  const files = await writeFiles(folder);
  const wasmountFile = program ?? (await bundleImage(join(folder, "program")));
  const baselineFile = join(folder, "baseline.mjs");
  await bundle(source("baseline-server.ts"), baselineFile);
  const wasmount = await startServer({
    name: "wasmount",
    args: [
      ...profiling("wasmount"),
      // As the chart has it.
      "--max-semi-space-size=16",
      wasmountFile,
      "webhook",
      "--config",
      files.config,
      "--namespace-file",
      files.namespaces,
    ],
    path,
    logFile: join(folder, "wasmount.log"),
    core,
  });
  try {
    const answerFile = join(folder, "answer.json");
    await writeFile(answerFile, await injection(wasmount.url, files.ca, variety));
    const baseline = await startServer({
      name: "bare express",
      args: [...profiling("baseline"), baselineFile, files.certificate, files.key, answerFile],
      path: "/mutate",
      logFile: join(folder, "baseline.log"),
      core,
    });
    return { wasmount, baseline, caFile: files.caFile };
  } catch (error) {
    await wasmount.stop();
    throw error;
  }
}

async function writeFiles(folder: string) {
  const now = new Date();
  const authority = await createAuthority("wasmount benchmark CA", 1, now);
  const server = await issueServerCertificate(authority, ["localhost", "127.0.0.1"], 1, now);
  const signingKey = generateKeyPairSync("ed25519").privateKey.export({ type: "pkcs8", format: "pem" });
  const path = (name: string) => join(folder, name);
  const config = {
    listen: { address: "127.0.0.1", port: 0, plainPort: 0, drainSeconds: 0, lingerSeconds: 0 },
    tls: { certFile: path("tls.crt"), keyFile: path("tls.key") },
    fetcher: { image: "registry.example/wasmount:1" },
    plan: { signingKeyFile: path("plan.key") },
  };
  const { name, labels, annotations } = namespace;
  const manifest = { apiVersion: "v1", kind: "Namespace", metadata: { name, labels, annotations } };
  await Promise.all([
    writeFile(path("ca.crt"), authority.certificate),
    writeFile(path("tls.crt"), server.certificate),
    writeFile(path("tls.key"), server.privateKey, { mode: 0o600 }),
    writeFile(path("plan.key"), signingKey, { mode: 0o600 }),
    writeFile(path("wasmount.yaml"), stringify(config)),
    writeFile(path("namespace.yaml"), stringify(manifest)),
  ]);
  return {
    ca: authority.certificate,
    caFile: path("ca.crt"),
    certificate: path("tls.crt"),
    key: path("tls.key"),
    config: path("wasmount.yaml"),
    namespaces: path("namespace.yaml"),
  };
}

/** wasmount's answer to one review, which has to be an injection: the baseline gives the same patch. */
async function injection(url: string, ca: string, variety: Variety): Promise<string> {
  const text = await post(url, ca, JSON.stringify(podReview(0, variety)));
  const { response } = JSON.parse(text) as ReviewResponse;
  if (response.patch === undefined) throw new Error(`wasmount was to inject, and answered ${text}`);
  return text;
}

function post(url: string, ca: string, body: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const headers = { "content-type": "application/json" };
    const outgoing = request(url, { method: "POST", ca, agent: false, headers }, response => {
      let text = "";
      response.setEncoding("utf8").on("data", (chunk: string) => {
        text += chunk;
      });
      response.on("end", () => {
        if (response.statusCode === 200) resolve(text);
        else reject(new Error(`${url} answered ${response.statusCode}: ${text}`));
      });
    });
    outgoing.on("error", reject);
    outgoing.end(body);
  });
}
