import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { stringify } from "yaml";
import { type Credentials, createAuthority, issueServerCertificate } from "../../src/certs/authority.ts";

/** The command line's entry, run from source. */
export const MAIN = fileURLToPath(new URL("../../src/cli/main.ts", import.meta.url));

export interface WebhookProcess {
  /** URL of the admission endpoint on loopback. */
  readonly url: string;
  readonly plainUrl: string;
  /** PEM of the authority that signed the server's certificate. */
  readonly ca: string;
  /** All that it logged. */
  readonly log: () => string;
  /** Where it reads its certificate and its key. */
  readonly files: { readonly certFile: string; readonly keyFile: string };
  readonly authority: Credentials;
  /** SIGTERM, and the exit code after it drained. */
  readonly stop: () => Promise<number>;
  /** SIGKILL. */
  readonly kill: () => Promise<void>;
}

export interface WebhookProcessOptions {
  /** A folder of its own, for certificate and configuration. */
  readonly folder: string;
  /** Signs its certificate; without it, one of its own. */
  readonly authority?: Credentials;
  /** Members of the operator's configuration beside listen and tls. */
  readonly config: Readonly<Record<string, unknown>>;
  /** `--namespace-file FILE` or `--kubeconfig FILE`. */
  readonly namespaces: readonly [flag: string, file: string];
  /** What Node runs: the sources' entry, unless a bundle is named. */
  readonly entry?: string;
}

/** Starts `wasmount webhook` with a certificate for loopback and waits until it serves. */
export async function startWebhookProcess({
  folder,
  authority: given,
  config,
  namespaces,
  entry = MAIN,
}: WebhookProcessOptions): Promise<WebhookProcess> {
  await mkdir(folder, { recursive: true });
  const now = new Date();
  const authority = given ?? (await createAuthority("wasmount local CA", 7, now));
  const server = await issueServerCertificate(authority, ["localhost", "127.0.0.1"], 7, now);
  const files = {
    certFile: join(folder, "tls.crt"),
    keyFile: join(folder, "tls.key"),
    config: join(folder, "wasmount.yaml"),
  };
  await writeFile(files.certFile, server.certificate);
  await writeFile(files.keyFile, server.privateKey, { mode: 0o600 });
  const listen = { address: "127.0.0.1", port: 0, plainPort: 0, drainSeconds: 0, lingerSeconds: 0 };
  const { certFile, keyFile } = files;
  await writeFile(files.config, stringify({ listen, tls: { certFile, keyFile }, ...config }));

  const child = spawn(process.execPath, [entry, "webhook", "--config", files.config, ...namespaces], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  let log = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    log += text;
  });
  const exited = once(child, "exit") as Promise<[number | null]>;
  const firstLine = once(createInterface(child.stdout), "line") as Promise<[string]>;
  const started = await Promise.race([firstLine, exited.then(([code]) => code)]);
  if (!Array.isArray(started)) throw new Error(`wasmount webhook exited with ${started}\n${log}`);
  const { port, plainPort } = JSON.parse(started[0]) as { port: number; plainPort: number };
  return {
    url: `https://127.0.0.1:${port}/mutate`,
    plainUrl: `http://127.0.0.1:${plainPort}`,
    ca: authority.certificate,
    log: () => log,
    files: { certFile, keyFile },
    authority,
    async kill() {
      child.kill("SIGKILL");
      await exited;
    },
    async stop() {
      child.kill("SIGTERM");
      const [code] = await exited;
      return code ?? 1;
    },
  };
}
