import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdir, readFile, writeFile } from "node:fs/promises";
import { get } from "node:http";
import { get as getSecurely } from "node:https";
import { join } from "node:path";
import { stringify } from "yaml";
import { binaryOf } from "./cluster/binaries.ts";
import type { Progress } from "./cluster/progress.ts";
import { freePorts } from "./ports.ts";
import { until } from "./until.ts";

/** The distribution project's registry, of its own release or of a distribution's, with files on disk. */
export interface DistributionRegistry {
  /** "host:port", as references spell it. */
  readonly address: string;
  /** Changes a stored blob behind the registry's back, as a broken disk or an intruder would. */
  corrupt(digest: string, change: (bytes: Buffer) => Buffer): Promise<void>;
  stop(): Promise<void>;
}

export interface DistributionOptions {
  /** PEM; without it, plain HTTP is spoken. */
  readonly tls?: { readonly certificate: string; readonly privateKey: string } | null;
  /** Who may use it, in Apache's form with bcrypt; default: everyone. */
  readonly htpasswd?: string | null;
  /** The program; without it, the pinned release, built from its Go module on first use. */
  readonly program?: string | null;
}

/**
 * Starts a registry that keeps its files below `folder`.
 * @param host the address to listen on, which references will name
 */
export async function startDistributionRegistry(
  folder: string,
  host: string,
  progress: Progress = () => {},
  { tls = null, htpasswd = null, program = null }: DistributionOptions = {},
): Promise<DistributionRegistry> {
  const binary = program ?? (await binaryOf("registry", progress));
  const [port = 0] = await freePorts(1);
  const address = `${host}:${port}`;
  const data = join(folder, "data");
  await mkdir(data, { recursive: true });
  const config = join(folder, "registry.yaml");
  const users = join(folder, "htpasswd");
  if (htpasswd !== null) await writeFile(users, htpasswd);
  const [certificate, key] = [join(folder, "registry.crt"), join(folder, "registry.key")];
  if (tls !== null) {
    await writeFile(certificate, tls.certificate);
    await writeFile(key, tls.privateKey, { mode: 0o600 });
  }
  await writeFile(
    config,
    stringify({
      version: 0.1,
      log: { level: "error", accesslog: { disabled: true } },
      storage: { filesystem: { rootdirectory: data }, delete: { enabled: true } },
      http: { addr: address, ...(tls !== null && { tls: { certificate, key } }) },
      ...(htpasswd !== null && { auth: { htpasswd: { realm: "test", path: users } } }),
    }),
  );
  const child = spawn(binary, ["serve", config], {
    stdio: ["ignore", "pipe", "pipe"],
    env: { OTEL_TRACES_EXPORTER: "none" },
  });
  let log = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => {
      log += text;
    });
  }
  try {
    const look = () => {
      if (child.exitCode !== null) throw new Error(`the registry at ${address} has ended\n${log}`);
      return answers(address, tls !== null);
    };
    const what = () => `the registry at ${address} to answer\n${log}`;
    await until(what, look, { seconds: 15, pauseMs: 50, bears: () => false });
  } catch (error) {
    child.kill();
    throw error;
  }
  return {
    address,
    async corrupt(digest, change) {
      const hex = digest.slice("sha256:".length);
      const file = join(data, "docker/registry/v2/blobs/sha256", hex.slice(0, 2), hex, "data");
      await chmod(file, 0o644);
      await writeFile(file, change(await readFile(file)));
    },
    async stop() {
      if (child.exitCode !== null) return;
      child.kill("SIGTERM");
      await once(child, "exit");
    },
  };
}

function answers(address: string, secure: boolean): Promise<boolean> {
  return new Promise(resolve => {
    // Whether it answers, not who it is.
    const request = secure
      ? getSecurely(`https://${address}/v2/`, { rejectUnauthorized: false })
      : get(`http://${address}/v2/`);
    request.on("error", () => resolve(false));
    request.on("response", response => {
      response.resume();
      resolve(response.statusCode === 200 || response.statusCode === 401);
    });
  });
}
