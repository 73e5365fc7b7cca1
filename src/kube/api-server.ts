import { request as httpRequest, type IncomingMessage } from "node:http";
import { Agent, request as httpsRequest, type RequestOptions } from "node:https";
import type { KubeConfig } from "@kubernetes/client-node";
import { messageOf } from "../error.ts";
import { jsonOf } from "./body.ts";
import { KubeError } from "./error.ts";

/** An object or a status that answers a write: etcd holds objects of at most 1.5 MiB. */
const ANSWER_BYTES = 4 * 1024 * 1024;

/** A call that changes something. */
export interface Write {
  readonly method: "POST" | "PUT" | "PATCH" | "DELETE";
  /** Path and query, below the cluster's own URL. */
  readonly path: string;
  readonly body: unknown;
  /** Media type of the body: application/json, or that of a patch. */
  readonly contentType?: string;
}

/** Calls an API server. */
export interface ApiServer {
  /**
   * GETs a path and waits for the head of a 200.
   * @param path Path and query, below the cluster's own URL.
   * @throws KubeError NotFound, Gone, Refused (any other status, redirects included), Unreachable (also when aborted)
   */
  open(path: string, accept: string, signal: AbortSignal): Promise<IncomingMessage>;
  /**
   * Writes, and waits for the answer, which is JSON.
   * @throws KubeError as `open`, and Conflict, TooManyRequests, Malformed, TooLarge
   */
  write(write: Write, signal: AbortSignal): Promise<unknown>;
}

/**
 * Sends one request to an API server, and waits for the head of its answer, whatever its status.
 * @throws KubeError BadKubeconfig, Unreachable (also when aborted)
 */
export type ApiCall = (
  method: string,
  path: string,
  headers: RequestOptions["headers"],
  signal: AbortSignal,
  body?: string,
) => Promise<IncomingMessage>;

/**
 * Calls the API server of a kubeconfig's current context. Credentials are asked for at every call, so that tokens and
 * certificates may rotate.
 */
export function apiCall(kubeConfig: KubeConfig): ApiCall {
  // client-node's own agent keeps the certificates that it was made with; this one takes those of each call.
  const agent = new Agent();
  return async (method, path, headers, signal, body = "") => {
    const cluster = kubeConfig.getCurrentCluster();
    if (!cluster) throw new KubeError("BadKubeconfig", "the kubeconfig's current context names no cluster");
    const options: RequestOptions = {};
    try {
      await kubeConfig.applyToHTTPSOptions(options);
    } catch (error) {
      throw new KubeError("Unreachable", `can't get credentials: ${messageOf(error)}`, { cause: error });
    }
    if (!cluster.proxyUrl && cluster.server.startsWith("https:")) options.agent = agent;
    options.headers = { ...options.headers, ...headers };
    const url = new URL(cluster.server.replace(/\/+$/, "") + path);
    return head(url, { ...options, method, signal }, body);
  };
}

/** The API server of a kubeconfig's current context. */
export function apiServer(kubeConfig: KubeConfig): ApiServer {
  const request = apiCall(kubeConfig);

  async function call(...asked: Parameters<ApiCall>): Promise<IncomingMessage> {
    const response = await request(...asked);
    const status = response.statusCode ?? 0;
    if (status >= 200 && status < 300) return response;
    response.destroy();
    const [, path] = asked;
    throw new KubeError(codeOf(status), `HTTP ${status} from ${path.replace(/\?.*$/, "")}`);
  }

  return {
    open: (path, accept, signal) => call("GET", path, { accept }, signal),
    async write({ method, path, body, contentType = "application/json" }, signal) {
      const text = JSON.stringify(body) ?? "";
      const headers = {
        accept: "application/json",
        "content-type": contentType,
        "content-length": String(Buffer.byteLength(text)),
      };
      return jsonOf(await call(method, path, headers, signal, text), ANSWER_BYTES);
    },
  };
}

function head(url: URL, options: RequestOptions, body: string): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const start = url.protocol === "https:" ? httpsRequest : httpRequest;
    const request = start(url, options, resolve);
    // TCP's own probes find a peer that vanished without a word.
    request.on("socket", socket => socket.setKeepAlive(true, 15_000));
    request.on("error", error => {
      const why = options.signal?.aborted ? messageOf(options.signal.reason) : error.message;
      reject(new KubeError("Unreachable", why, { cause: error }));
    });
    request.end(body);
  });
}

/** The code of an HTTP status that is no success. */
export function codeOf(
  status: number,
): "NotFound" | "Gone" | "Conflict" | "TooManyRequests" | "Unreachable" | "Refused" {
  switch (status) {
    case 404:
      return "NotFound";
    case 409:
      return "Conflict";
    case 410:
      return "Gone";
    case 429:
      return "TooManyRequests";
    default:
      return status >= 500 ? "Unreachable" : "Refused";
  }
}
