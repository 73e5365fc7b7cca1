import { readFile } from "node:fs/promises";
import { createServer as createHttpServer, type Server, type ServerResponse } from "node:http";
import { createServer as createHttpsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import type { Config } from "../config/config.ts";
import type { Logger } from "../observe/log.ts";
import type { Metrics } from "../observe/metrics.ts";
import { admissionApp, type Decide } from "./app.ts";
import { healthApp } from "./health.ts";

/** API servers keep idle connections for about 90 s: closing them first would race with their next call. */
const KEEP_ALIVE_MS = 120_000;
/** How long calls in flight may take after the server stopped accepting. */
const IN_FLIGHT_MS = 10_000;

export interface WebhookServer {
  /** Ports in use, also where the configuration asked for a free one. */
  readonly port: number;
  readonly plainPort: number;
  /** Turns not ready, waits for endpoints to be withdrawn, answers the calls in flight, and ends. */
  drain(): Promise<void>;
}

/** Starts both servers. @throws what listening and reading the certificate throw. */
export async function startWebhook(
  config: Pick<Config, "listen" | "tls">,
  decide: Decide,
  notReady: () => string | null,
  log: Logger,
  metrics: Metrics,
): Promise<WebhookServer> {
  let draining = false;
  const [cert, key] = await Promise.all([readFile(config.tls.certFile), readFile(config.tls.keyFile)]);
  const admission = createHttpsServer({ cert, key, minVersion: "TLSv1.2" }, admissionApp(decide, log, metrics));
  admission.keepAliveTimeout = KEEP_ALIVE_MS;
  admission.headersTimeout = 10_000;
  admission.requestTimeout = 30_000;
  const unanswered = new Set<ServerResponse>();
  admission.prependListener("request", (_request, response: ServerResponse) => {
    if (draining) response.setHeader("connection", "close");
    unanswered.add(response);
    response.once("close", () => unanswered.delete(response));
  });
  const plain = createHttpServer(healthApp(() => (draining ? "draining" : notReady()), metrics));
  await Promise.all([
    listen(admission, config.listen.port, config.listen.address),
    listen(plain, config.listen.plainPort, config.listen.address),
  ]);
  const server = { port: portOf(admission), plainPort: portOf(plain) };
  log.info({ ...server, address: config.listen.address }, "listening");
  return {
    ...server,
    async drain() {
      if (draining) return;
      draining = true;
      for (const response of unanswered) if (!response.headersSent) response.setHeader("connection", "close");
      log.info({ seconds: config.listen.drainSeconds }, "draining");
      await sleep(config.listen.drainSeconds * 1000);
      await closeServer(admission);
      await closeServer(plain);
      log.info("stopped");
    },
  };
}

function listen(server: Server, port: number, address: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, address, () => {
      server.off("error", reject);
      resolve();
    });
  });
}

async function closeServer(server: Server): Promise<void> {
  const closed = new Promise<void>(resolve => server.close(() => resolve()));
  server.closeIdleConnections();
  const stop = new AbortController();
  await Promise.race([closed, sleep(IN_FLIGHT_MS, undefined, { signal: stop.signal }).catch(() => {})]);
  stop.abort();
  server.closeAllConnections();
  await closed;
}

function portOf(server: Server): number {
  return (server.address() as AddressInfo).port;
}
