import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import type { PrivateSigstore, ServiceAnswer, ServiceName } from "./private-sigstore.ts";

/** A Sigstore's services over HTTP, in this process. */
export interface SigstoreServers {
  readonly fulcio: URL;
  readonly rekor: URL;
  readonly timestamp: URL;
  /** Every request so far, "POST /api/…", oldest first. */
  readonly requests: string[];
  /** What services answer in place of what they should. */
  readonly answers: Partial<Record<ServiceName, ServiceAnswer | Promise<ServiceAnswer>>>;
  close(): Promise<void>;
}

const PATHS: Readonly<Record<string, ServiceName>> = {
  "/api/v2/signingCert": "fulcio",
  "/api/v1/log/entries": "rekor",
  "/api/v1/timestamp": "timestamp",
};

export async function sigstoreServers({ services }: Pick<PrivateSigstore, "services">): Promise<SigstoreServers> {
  const requests: string[] = [];
  const answers: SigstoreServers["answers"] = {};
  const server = createServer(async (request, response) => {
    requests.push(`${request.method} ${request.url}`);
    const name = PATHS[request.url ?? ""];
    const body = await bodyOf(request);
    const given: ServiceAnswer =
      name === undefined
        ? { statusCode: 404, response: "" }
        : ((await answers[name]) ??
          (await services[name](body).catch(error => ({ statusCode: 400, response: String(error) }))));
    const { statusCode, response: content, contentType = "text/plain" } = given;
    response.writeHead(statusCode, { "Content-Type": contentType });
    response.end(
      typeof content === "string" ? content : Buffer.from(content.buffer, content.byteOffset, content.byteLength),
    );
  });
  await new Promise<void>(resolve => server.listen(0, "127.0.0.1", resolve));
  const url = new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
  return {
    fulcio: url,
    rekor: url,
    timestamp: url,
    requests,
    answers,
    close: async () => {
      server.closeAllConnections();
      await new Promise(resolve => server.close(resolve));
    },
  };
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  let text = "";
  for await (const chunk of request) text += chunk;
  return text;
}
