import { readFile } from "node:fs/promises";
import { request as httpRequest } from "node:http";
import { request as httpsRequest, type RequestOptions } from "node:https";
import { dirname, join } from "node:path";
import { pki } from "./certificates.ts";
import { attempt } from "./command.ts";
import type { Component } from "./component.ts";

/** Whether a component answers as it should: null when it does, else what is wrong, in words. */
export async function healthProblem(component: Component): Promise<string | null> {
  if (component.health === null) return containerdProblem(component);
  try {
    const tls = component.health.startsWith("https:")
      ? { ca: await readFile(pki.ca()), cert: await readFile(pki.client()), key: await readFile(pki.clientKey()) }
      : {};
    const { status, body } = await get(component.health, { ...tls, timeout: 5000 });
    return status >= 200 && status < 300 ? null : `${component.health} answers ${status}: ${body.trim().slice(0, 300)}`;
  } catch (error) {
    return error instanceof Error ? `${component.health}: ${error.message}` : String(error);
  }
}

async function containerdProblem(component: Component): Promise<string | null> {
  const ctr = join(dirname(component.command), "ctr");
  const result = await attempt(ctr, ["--address", component.address, "--connect-timeout", "5s", "version"]);
  return result.status === 0 ? null : result.stderr.trim().slice(-300);
}

function get(url: string, options: RequestOptions): Promise<{ readonly status: number; readonly body: string }> {
  const request = url.startsWith("https:") ? httpsRequest : httpRequest;
  return new Promise((resolve, reject) => {
    const sent = request(url, { ...options, agent: false }, response => {
      let body = "";
      response.setEncoding("utf8");
      response.on("data", (chunk: string) => {
        if (body.length < 4096) body += chunk;
      });
      response.on("end", () => resolve({ status: response.statusCode ?? 0, body }));
      response.on("error", reject);
    });
    sent.on("timeout", () => sent.destroy(new Error("no answer within 5 seconds")));
    sent.on("error", reject);
    sent.end();
  });
}
