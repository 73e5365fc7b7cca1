import { type IncomingMessage, request } from "node:http";
import type { Duplex } from "node:stream";
import { messageOf } from "../error.ts";
import { DiagnosisError } from "./error.ts";

/** Much more than the statistics of 99 filters. */
const MAX_BYTES = 256 * 1024;
const VERSION_CHARACTERS = 128;
/** Of Envoy's administration interface; every release takes a part of the names as a regular expression. */
const PATH = "/stats?filter=extension_config_discovery.http_filter.wasmount.*version_text";
/** A text readout, as Envoy prints it: its name, and its value in quotes. */
const LINE = /(?:^|\.)extension_config_discovery\.http_filter\.(wasmount\.[a-z0-9-]{1,63})\.version_text: "(.*)"$/;

/** What Envoy says that it serves: by a filter's name, each version that it names, "" for none loaded. */
export type ServedVersions = ReadonlyMap<string, readonly string[]>;

/**
 * Asks Envoy's administration interface which version of each of our filters serves. A pod's owner controls what answers
 * there: nothing is taken of what is not as Envoy writes it.
 * @param connection closed in the end
 * @throws DiagnosisError Unreachable, Refused, TooLarge
 */
export async function servedVersions(connection: Duplex, stop: AbortSignal): Promise<ServedVersions> {
  try {
    const body = await bodyOf(await answerOf(connection, stop));
    // To Node a body without a length that is given up on has come to its end.
    stop.throwIfAborted();
    return readStatistics(body);
  } catch (error) {
    if (error instanceof DiagnosisError) throw error;
    const reason = stop.aborted ? "it does not answer in time" : messageOf(error);
    throw new DiagnosisError("Unreachable", `Envoy's statistics can't be read: ${reason}`, { cause: error });
  } finally {
    connection.destroy();
  }
}

export function readStatistics(text: string): ServedVersions {
  const served = new Map<string, string[]>();
  for (const line of text.split("\n")) {
    const [, name, version] = LINE.exec(line.trimEnd()) ?? [];
    if (name === undefined || version === undefined) continue;
    served.set(name, [...(served.get(name) ?? []), version.slice(0, VERSION_CHARACTERS)]);
  }
  return served;
}

function answerOf(connection: Duplex, signal: AbortSignal): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const headers = { host: "localhost" };
    request({ createConnection: () => connection, path: PATH, headers, signal })
      .on("response", resolve)
      .on("error", reject)
      .end();
  });
}

async function bodyOf(response: IncomingMessage): Promise<string> {
  if (response.statusCode !== 200) {
    throw new DiagnosisError("Refused", `Envoy answers HTTP ${response.statusCode} where its statistics are asked for`);
  }
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > MAX_BYTES) {
      throw new DiagnosisError("TooLarge", `Envoy's statistics have more than ${MAX_BYTES} bytes`);
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}
