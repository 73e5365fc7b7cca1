import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { request } from "node:http";
import { text } from "node:stream/consumers";
import { envoyBinary } from "../environment/envoy.ts";
import { until } from "../environment/until.ts";

/** One Envoy on this machine. */
export interface EnvoyProcess {
  /** The body of an admin path such as "/stats". */
  admin(path: string): Promise<string>;
  /** Ends the process and waits for it. */
  close(): Promise<void>;
}

export interface Answer {
  readonly status: number;
  readonly body: string;
}

const PATIENCE_MS = 20_000;

/** Starts Envoy and waits until it is ready. @throws Error with Envoy's output where it ends instead. */
export async function startEnvoy(
  config: string,
  adminPort: number,
  more: readonly string[] = [],
): Promise<EnvoyProcess> {
  const options = ["-c", config, ...more, "--log-level", "error", "--disable-hot-restart", "--concurrency", "1"];
  const child = spawn(await envoyBinary(), options, { stdio: ["ignore", "pipe", "pipe"] });
  const output = collect(child);
  const ended = once(child, "close");
  const envoy: EnvoyProcess = {
    admin: async path => (await get(`http://127.0.0.1:${adminPort}${path}`)).body,
    close: async () => {
      child.kill("SIGTERM");
      await ended;
    },
  };
  await eventually(async () => {
    if (child.exitCode !== null) throw new Ended(output());
    return (await envoy.admin("/ready")).trim() === "LIVE";
  });
  return envoy;
}

/** Envoy's verdict on a configuration: null where it is good, else what it says. */
export async function validate(config: string): Promise<string | null> {
  const child = spawn(await envoyBinary(), ["--mode", "validate", "-c", config, "--log-level", "critical"], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  const output = collect(child);
  const [code] = await once(child, "close");
  return code === 0 ? null : output();
}

export async function get(url: string): Promise<Answer> {
  const response = await fetch(url, { signal: AbortSignal.timeout(PATIENCE_MS) });
  return { status: response.status, body: await response.text() };
}

/** Asks for a WebSocket. Where the answer is 101, there is no body. */
export function upgrade(url: string): Promise<Answer> {
  const headers = { connection: "Upgrade", upgrade: "websocket", "sec-websocket-version": "13" };
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  const asked = request(url, { agent: false, headers, signal: AbortSignal.timeout(PATIENCE_MS) });
  asked.on("error", reject);
  asked.on("upgrade", ({ statusCode = 0 }, socket) => {
    socket.destroy();
    resolve({ status: statusCode, body: "" });
  });
  asked.on("response", response => {
    text(response).then(body => resolve({ status: response.statusCode ?? 0, body }), reject);
  });
  asked.end();
  return promise;
}

/** Asks again until the answer is yes. Refused connections count as no. */
export async function eventually(question: () => Promise<boolean>): Promise<void> {
  const bears = (error: unknown) => !(error instanceof Ended);
  await until(String(question), question, { seconds: PATIENCE_MS / 1000, pauseMs: 50, bears });
}

class Ended extends Error {}

function collect(child: ChildProcess): () => string {
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on("data", chunk => {
      output += chunk;
    });
  }
  return () => output;
}
