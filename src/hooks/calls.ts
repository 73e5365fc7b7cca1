import { messageOf } from "../error.ts";
import { type ApiCall, apiCall } from "../kube/api-server.ts";
import { jsonOf } from "../kube/body.ts";
import { loadKubeConfig } from "../kube/kube-config.ts";
import { printable } from "../printable.ts";
import { HookError } from "./error.ts";

const CALL_MS = 20_000;
/** A page of metadata, or a pod as an API server stores it, with room. */
const ANSWER_BYTES = 16 * 1024 * 1024;
const MESSAGE_CHARACTERS = 4_000;

/** What an API server answered, whatever it was. */
export interface Answer {
  readonly status: number;
  readonly body: unknown;
  /** What a refusal says, fit for a terminal; "" for anything else. */
  readonly message: string;
}

/** Calls an API server. @throws HookError Unreachable */
export type Ask = (method: "GET" | "POST" | "DELETE", path: string, options?: AskOptions) => Promise<Answer>;

export interface AskOptions {
  readonly body?: object;
  readonly accept?: string;
}

/** The API server of $KUBECONFIG, ~/.kube/config, or of the pod that this runs in. @throws HookError Unreachable */
export function openCalls(userAgent: string): Ask {
  const loaded = loadKubeConfig(undefined);
  if ("problem" in loaded) throw new HookError("Unreachable", loaded.problem);
  return askThrough(apiCall(loaded), userAgent);
}

export function askThrough(call: ApiCall, userAgent: string): Ask {
  return async (method, path, { body, accept = "application/json" } = {}) => {
    const text = body === undefined ? "" : JSON.stringify(body);
    const content = { "content-type": "application/json", "content-length": String(Buffer.byteLength(text)) };
    const headers = { accept, "user-agent": userAgent, ...(text === "" ? {} : content) };
    try {
      const response = await call(method, path, headers, AbortSignal.timeout(CALL_MS), text);
      const answer = await jsonOf(response, ANSWER_BYTES);
      return { status: response.statusCode ?? 0, body: answer, message: saidBy(answer) };
    } catch (error) {
      throw new HookError("Unreachable", `the API server can't be asked: ${messageOf(error)}`, { cause: error });
    }
  };
}

/** A Status (meta/v1) says in words what was refused. */
function saidBy(body: unknown): string {
  const { kind, message } = (body ?? {}) as { readonly kind?: unknown; readonly message?: unknown };
  return kind === "Status" && typeof message === "string" ? printable(message.slice(0, MESSAGE_CHARACTERS)) : "";
}

/** An API server's answer that is no success. */
export function refused(method: string, path: string, { status, message }: Answer): HookError {
  return new HookError("Refused", `${method} ${path}: HTTP ${status}${message === "" ? "" : `: ${message}`}`);
}
