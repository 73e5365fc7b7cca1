import { createServer as createHttpServer, IncomingMessage, type Server, ServerResponse } from "node:http";
import { createServer as createHttpsServer, type ServerOptions } from "node:https";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import type { Express } from "express";
import { doneWithin } from "../abort.ts";
import type { Config } from "../config/config.ts";
import { ConfigError } from "../config/error.ts";
import type { Logger } from "../observe/log.ts";
import type { Metrics } from "../observe/metrics.ts";
import { watchCallers } from "./callers.ts";
import { reloadCertificate } from "./certificate-reload.ts";
import type { CredentialSource, Credentials } from "./credentials.ts";
import { healthApp } from "./health.ts";
import { PATIENCE, type Patience } from "./patience.ts";

/** How long calls in flight may take after the server stopped accepting. */
const IN_FLIGHT_MS = 10_000;

export interface WebhookServer {
  /** Ports in use, also where the configuration asked for a free one. */
  readonly port: number;
  readonly plainPort: number;
  /**
   * Turns not ready, waits for endpoints to be withdrawn, answers the calls in flight, leaves idle connections to their
   * callers to close, and ends.
   */
  drain(): Promise<void>;
}

/** Starts both servers, or neither. @throws ConfigError Unusable, naming the setting. */
export async function startWebhook(
  config: Pick<Config, "listen">,
  source: CredentialSource,
  app: Express,
  notReady: () => string | null,
  log: Logger,
  metrics: Metrics,
  patience = PATIENCE,
): Promise<WebhookServer> {
  let draining = false;
  let drained: Promise<void> | null = null;
  const credentials = await source.read(new Date());
  const admission = createHttpsServer({ ...tlsOptions(credentials), ...timeouts(patience), ...messagesOf(app) }, app);
  admission.maxConnections = config.listen.maxConnections;
  admission.on("drop", () => metrics.connectionDropped());
  admission.on("tlsClientError", error => {
    metrics.handshakeFailed();
    // Anybody may knock, as often as they like: no more than a debugger wants to see.
    log.debug({ error: error.message }, "no TLS connection");
  });
  const callers = watchCallers(admission, patience, () => performance.now());
  const plain = createHttpServer(healthApp(() => (draining ? "draining" : (source.notReady() ?? notReady())), metrics));
  try {
    await listen(admission, config.listen.address, config.listen.port, "listen.port");
    await listen(plain, config.listen.address, config.listen.plainPort, "listen.plainPort");
  } catch (error) {
    // One server alone is none: it would be called but never be ready, or be ready and never be called.
    await Promise.all([closeServer(admission), closeServer(plain)]);
    throw error;
  }
  const certificate = reloadCertificate(
    source,
    credentials,
    found => admission.setSecureContext(tlsOptions(found)),
    log,
  );
  metrics.watchCertificates(() => ({
    serving: certificate.current()?.notAfter ?? null,
    authority: source.authorityEnds(),
  }));
  const server = { port: portOf(admission), plainPort: portOf(plain) };
  const { fingerprint = null, notAfter = null } = credentials ?? {};
  log.info({ ...server, address: config.listen.address, fingerprint, notAfter }, "listening");
  return {
    ...server,
    drain() {
      drained ??= drainBoth();
      return drained;
    },
  };

  async function drainBoth(): Promise<void> {
    draining = true;
    callers.lastCalls();
    log.info({ seconds: config.listen.drainSeconds }, "draining");
    await sleep(config.listen.drainSeconds * 1000);
    // API servers may call by an idle connection at any time, and a call that crosses its end is lost: Go's client does not
    // repeat a POST. They close those that they don't need, and a busy one ends with its next answer.
    await callers.gone(config.listen.lingerSeconds * 1000);
    await closeServer(admission);
    await certificate.stop();
    await closeServer(plain);
    log.info("stopped");
  }
}

/** Without a certificate no handshake succeeds, until there is one. */
function tlsOptions(credentials: Credentials | null): ServerOptions {
  if (credentials === null) return { minVersion: "TLSv1.2" };
  const { cert, key, clientCa } = credentials;
  const clients = clientCa === null ? {} : { ca: clientCa, requestCert: true, rejectUnauthorized: true };
  return { cert, key, minVersion: "TLSv1.2", ...clients };
}

/**
 * Requests and responses that are express's from the start. It gives each one its own prototype otherwise, which changes
 * the object's shape and makes every later look into it slower.
 */
function messagesOf(app: Express): Pick<ServerOptions, "IncomingMessage" | "ServerResponse"> {
  class Request extends IncomingMessage {}
  class Response extends ServerResponse {}
  Object.setPrototypeOf(Request.prototype, app.request);
  Object.setPrototypeOf(Response.prototype, app.response);
  app.request = Request.prototype as typeof app.request;
  app.response = Response.prototype as typeof app.response;
  return { IncomingMessage: Request, ServerResponse: Response as typeof ServerResponse };
}

function timeouts({ handshakeMs, keepAliveMs }: Patience): ServerOptions {
  // The first two would end connections that no call has come by yet: watchCallers() looks after the rest.
  return { headersTimeout: 0, requestTimeout: 0, handshakeTimeout: handshakeMs, keepAliveTimeout: keepAliveMs };
}

function listen(server: Server, address: string, port: number, setting: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", error => {
      reject(new ConfigError("Unusable", `can't listen on ${address}:${port} (${setting}): ${error.message}`));
    });
    server.listen(port, address, () => {
      server.removeAllListeners("error");
      resolve();
    });
  });
}

async function closeServer(server: Server): Promise<void> {
  if (!server.listening) return;
  // What arrived meanwhile is read before immediates run, and is a call in flight then.
  await new Promise(resolve => setImmediate(resolve));
  const closed = new Promise<void>(resolve => server.close(() => resolve()));
  server.closeIdleConnections();
  await doneWithin(IN_FLIGHT_MS, closed);
  server.closeAllConnections();
  await closed;
}

function portOf(server: Server): number {
  return (server.address() as AddressInfo).port;
}
