import type { IncomingMessage } from "node:http";
import type { Script } from "./scripted-server.ts";

/** What a server in front of a registry does with a request: an answer of its own, or null to pass it on. */
export type Interference = (
  request: IncomingMessage,
  body: Buffer,
) => { readonly status: number; readonly headers?: Readonly<Record<string, string>>; readonly body?: string } | null;

/**
 * A script that stands in front of a real registry and answers some requests itself.
 * @param hidden a header that is taken from the registry's answers
 */
export function frontOf(registry: { readonly address: string }, interfere: Interference, hidden = ""): Script {
  return (request, response, body) => {
    const own = interfere(request, body);
    if (own) return void response.writeHead(own.status, { ...own.headers }).end(own.body);
    const { method = "GET", url, headers } = request;
    const passed = Object.entries(headers).filter(([name]) => !["host", "connection", "content-length"].includes(name));
    const whole = method === "GET" || method === "HEAD" ? {} : { body };
    fetch(`http://${registry.address}${url}`, { method, headers: passed as [string, string][], ...whole }).then(
      async answer => {
        const kept = [...answer.headers].filter(
          ([name]) => !["connection", "keep-alive", "transfer-encoding", hidden].includes(name),
        );
        response.writeHead(answer.status, Object.fromEntries(kept));
        response.end(Buffer.from(await answer.arrayBuffer()));
      },
      () => response.destroy(),
    );
  };
}
