import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import { connect } from "node:net";
import type { Duplex } from "node:stream";
import type { KubeConfig } from "@kubernetes/client-node/dist/config.js";
import { messageOf } from "../error.ts";
import { apiCall } from "../kube/api-server.ts";
import { jsonOf } from "../kube/body.ts";
import { KubeError } from "../kube/error.ts";
import { METADATA_LIST } from "../kube/object-metadata.ts";
import { portForward } from "../kube/port-forward.ts";
import { printable } from "../printable.ts";
import type { Address, Answer, ClusterView, ListQuery, PodPort } from "./cluster-view.ts";
import { DiagnosisError, type DiagnosisErrorCode } from "./error.ts";
import { rightOf } from "./right.ts";

const CALL_MS = 20_000;
const DIAL_MS = 5_000;
/** An object as etcd holds it, with room. */
const OBJECT_BYTES = 8 * 1024 * 1024;
/** One page; where it is longer, a smaller one is asked for. */
const PAGE_BYTES = 64 * 1024 * 1024;
const PAGE_ITEMS = 250;
const TEXT_BYTES = 64 * 1024;
const MESSAGE_CHARACTERS = 2_000;

interface Page<Item> {
  readonly metadata?: { readonly continue?: string };
  readonly items?: readonly Item[] | null;
}

/**
 * A cluster by a kubeconfig. Objects are read once and remembered: all checks of a run see the same, and a cluster is
 * asked little. What is written is forgotten.
 */
export function liveCluster(kubeConfig: KubeConfig, userAgent: string): ClusterView {
  const call = apiCall(kubeConfig);
  const read = new Map<string, Promise<unknown>>();

  function ask(method: string, path: string, accept: string, body?: string): Promise<IncomingMessage> {
    const headers = {
      accept,
      "user-agent": userAgent,
      ...(body === undefined
        ? {}
        : { "content-type": "application/json", "content-length": String(Buffer.byteLength(body)) }),
    };
    return unreachable(call(method, path, headers, AbortSignal.timeout(CALL_MS), body)).catch(
      (error: DiagnosisError) => {
        throw new DiagnosisError(error.code, `the API server can't be asked: ${error.message}`, { cause: error });
      },
    );
  }

  async function getObject(path: string): Promise<unknown> {
    const response = await ask("GET", path, "application/json");
    if (response.statusCode === 200) return unreachable(jsonOf(response, OBJECT_BYTES));
    const problem = await problemOf("GET", path, response);
    if (problem.code === "NotFound") return null;
    throw problem;
  }

  async function page<Item>(path: string, query: ListQuery, limit: number, token: string): Promise<Page<Item>> {
    const { labelSelector, metadataOnly } = query;
    const asked = new URLSearchParams({ limit: String(limit) });
    if (labelSelector) asked.set("labelSelector", labelSelector);
    if (token) asked.set("continue", token);
    const response = await ask("GET", `${path}?${asked}`, metadataOnly ? METADATA_LIST : "application/json");
    if (response.statusCode !== 200) throw await problemOf("GET", path, response);
    try {
      return (await unreachable(jsonOf(response, PAGE_BYTES))) as Page<Item>;
    } catch (error) {
      if (!(error instanceof DiagnosisError) || error.code !== "TooLarge" || limit === 1) throw error;
      return page(path, query, Math.ceil(limit / 4), token);
    }
  }

  async function* pages<Item>(path: string, query: ListQuery): AsyncGenerator<Item> {
    let token = "";
    do {
      const { items, metadata } = await page<Item>(path, query, PAGE_ITEMS, token);
      yield* items ?? [];
      token = metadata?.continue ?? "";
    } while (token !== "");
  }

  async function forward(place: PodPort): Promise<Duplex> {
    try {
      return await portForward(kubeConfig, place);
    } catch (error) {
      if (!(error instanceof KubeError) || error.code !== "Forbidden") throw error;
      const right = `create pods/portforward in namespace ${place.namespace}`;
      throw new DiagnosisError("RightMissing", `the right to ${right} is missing`, { cause: error });
    }
  }

  return {
    get<Value>(path: string) {
      let found = read.get(path);
      if (found === undefined) {
        found = getObject(path);
        read.set(path, found);
      }
      return found as Promise<Value | null>;
    },
    list: (path, query = {}) => pages(path, query),
    async text(path) {
      const response = await ask("GET", path, "*/*");
      const status = response.statusCode ?? 0;
      if (status === 401 || status === 403) throw await problemOf("GET", path, response);
      return { status, text: await textOf(response) };
    },
    async send(method, path, body) {
      // Reviews and dry runs change nothing.
      if (method === "PUT") read.clear();
      const response = await ask(method, path, "application/json", JSON.stringify(body));
      if (response.statusCode === 401) throw await problemOf(method, path, response);
      return answerOf(response);
    },
    connect: place => unreachable("pod" in place ? forward(place) : dial(place)),
    now: () => new Date(),
  };
}

async function dial({ host, port }: Address): Promise<Duplex> {
  const socket = connect({ host, port, timeout: DIAL_MS });
  socket.on("timeout", () => socket.destroy(new Error("it does not answer")));
  try {
    await once(socket, "connect");
    return socket;
  } catch (error) {
    throw new KubeError("Unreachable", `${host}:${port} can't be reached: ${messageOf(error)}`, { cause: error });
  }
}

async function answerOf(response: IncomingMessage): Promise<Answer> {
  const body = await unreachable(jsonOf(response, OBJECT_BYTES));
  const { kind, message } = (body ?? {}) as { readonly kind?: string; readonly message?: string };
  return {
    status: response.statusCode ?? 0,
    body,
    message: kind === "Status" ? said(message) : "",
    warnings: warningsOf(response.headersDistinct["warning"] ?? []),
  };
}

/** `299 - "text"` (RFC 9111, 5.5), several in one header or several headers. */
function warningsOf(headers: readonly string[]): string[] {
  return headers.flatMap(header =>
    [...header.matchAll(/299 [^ ]+ "((?:[^"\\]|\\.)*)"/g)].map(([, text = ""]) =>
      printable(text.replaceAll(/\\(.)/g, "$1")),
    ),
  );
}

/** The words of a Status are the API server's, or a webhook's: never the request's, so that they hold no token. */
async function problemOf(method: string, path: string, response: IncomingMessage): Promise<DiagnosisError> {
  const status = response.statusCode ?? 0;
  const message = await answerOf(response).then(
    answer => answer.message,
    () => "",
  );
  const detail = message === "" ? "" : `: ${message}`;
  const place = path.replace(/\?.*$/, "");
  switch (status) {
    case 401:
      return new DiagnosisError(
        "NotLoggedIn",
        "the API server does not know who asks (HTTP 401): is the login of this kubeconfig still good?",
      );
    case 403:
      return new DiagnosisError("RightMissing", `the right to ${rightOf(method, place)} is missing${detail}`);
    case 404:
      return new DiagnosisError("NotFound", `there is no ${place}${detail}`);
    case 409:
      return new DiagnosisError("Conflict", `HTTP 409 from ${place}${detail}`);
    default:
      return new DiagnosisError("Refused", `HTTP ${status} from ${place}${detail}`);
  }
}

function said(message: string | undefined): string {
  return printable(message ?? "").slice(0, MESSAGE_CHARACTERS);
}

async function textOf(response: IncomingMessage): Promise<string> {
  let text = "";
  response.setEncoding("utf8");
  for await (const chunk of response) {
    text += chunk;
    if (text.length > TEXT_BYTES) break;
  }
  response.destroy();
  return text.slice(0, TEXT_BYTES);
}

const codes: Readonly<Partial<Record<string, DiagnosisErrorCode>>> = {
  BadKubeconfig: "BadKubeconfig",
  TooLarge: "TooLarge",
  Malformed: "Refused",
};

async function unreachable<Value>(asked: Promise<Value>): Promise<Value> {
  try {
    return await asked;
  } catch (error) {
    if (!(error instanceof KubeError)) throw error;
    const code = codes[error.code] ?? "Unreachable";
    throw new DiagnosisError(code, printable(messageOf(error)), { cause: error });
  }
}
