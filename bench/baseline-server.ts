import { readFileSync } from "node:fs";
import { createServer as createHttpServer } from "node:http";
import { createServer as createHttpsServer } from "node:https";
import type { AddressInfo } from "node:net";
import express from "express";
import type { ReviewResponse } from "../src/admission/response.ts";

/**
 * The least that an admission webhook on express does: TLS, the body as text, JSON in, a constant patch out. What
 * wasmount spends beyond this is its own. Arguments: certificate, key, and an answer of wasmount's, whose patch it gives.
 */
const [certFile = "", keyFile = "", answerFile = ""] = process.argv.slice(2);
const { response: answer } = JSON.parse(readFileSync(answerFile, "utf8")) as ReviewResponse;

const app = express();
app.disable("x-powered-by");
app.disable("etag");
app.post("/mutate", express.text({ type: "application/json", limit: "7mb" }), (request, response) => {
  const review = JSON.parse(request.body as string) as { readonly request: { readonly uid: string } };
  response.json({
    apiVersion: "admission.k8s.io/v1",
    kind: "AdmissionReview",
    response: { ...answer, uid: review.request.uid },
  });
});

const credentials = { cert: readFileSync(certFile), key: readFileSync(keyFile) };
const server = createHttpsServer({ ...credentials, minVersion: "TLSv1.2" }, app);
server.keepAliveTimeout = 120_000;
server.headersTimeout = 10_000;
server.requestTimeout = 30_000;
const plain = createHttpServer((_request, response) => {
  const { user, system } = process.cpuUsage();
  response.end(`process_cpu_seconds_total ${(user + system) / 1e6}\n`);
});
server.listen(0, "127.0.0.1", () => {
  plain.listen(0, "127.0.0.1", () => {
    const port = (server.address() as AddressInfo).port;
    const plainPort = (plain.address() as AddressInfo).port;
    process.stdout.write(`${JSON.stringify({ port, plainPort })}\n`);
  });
});
// An orderly end: only then Node writes a profile.
process.once("SIGTERM", () => process.exit());
