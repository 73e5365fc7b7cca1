import { get as httpGet, type IncomingMessage } from "node:http";
import { Agent, get as httpsGet, type RequestOptions } from "node:https";
import type { KubeConfig } from "@kubernetes/client-node";
import { messageOf } from "../error.ts";
import { KubeError } from "./error.ts";

/** Reads from an API server. */
export interface ApiServer {
  /**
   * GETs a path and waits for the head of a 200.
   * @param path Path and query, below the cluster's own URL.
   * @throws KubeError NotFound, Gone, Refused (any other status, redirects included), Unreachable (also when aborted)
   */
  open(path: string, accept: string, signal: AbortSignal): Promise<IncomingMessage>;
}

/**
 * The API server of a kubeconfig's current context. Credentials are asked for at every call, so that tokens and
 * certificates may rotate.
 */
export function apiServer(kubeConfig: KubeConfig): ApiServer {
  // client-node's own agent keeps the certificates that it was made with; this one takes those of each call.
  const agent = new Agent();
  return {
    async open(path, accept, signal) {
      const cluster = kubeConfig.getCurrentCluster();
      if (!cluster) throw new KubeError("BadKubeconfig", "the kubeconfig's current context names no cluster");
      const options: RequestOptions = {};
      try {
        await kubeConfig.applyToHTTPSOptions(options);
      } catch (error) {
        throw new KubeError("Unreachable", `can't get credentials: ${messageOf(error)}`, { cause: error });
      }
      if (!cluster.proxyUrl && cluster.server.startsWith("https:")) options.agent = agent;
      options.headers = { ...options.headers, accept };
      const url = new URL(cluster.server.replace(/\/+$/, "") + path);
      const response = await head(url, { ...options, signal });
      if (response.statusCode === 200) return response;
      response.destroy();
      throw new KubeError(codeOf(response.statusCode ?? 0), `HTTP ${response.statusCode} from ${url.pathname}`);
    },
  };
}

function head(url: URL, options: RequestOptions): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const get = url.protocol === "https:" ? httpsGet : httpGet;
    const request = get(url, options, resolve);
    // TCP's own probes find a peer that vanished without a word.
    request.on("socket", socket => socket.setKeepAlive(true, 15_000));
    request.on("error", error => {
      const why = options.signal?.aborted ? messageOf(options.signal.reason) : error.message;
      reject(new KubeError("Unreachable", why, { cause: error }));
    });
  });
}

/** The code of an HTTP status other than 200. */
export function codeOf(status: number): "NotFound" | "Gone" | "Refused" {
  if (status === 404) return "NotFound";
  return status === 410 ? "Gone" : "Refused";
}
