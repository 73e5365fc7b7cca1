import express, { type Express } from "express";
import type { Metrics } from "../observe/metrics.ts";

/**
 * The plain server's app: /livez while the process turns, /readyz while it should be called, /metrics.
 * @param notReady Why the replica should not be called now, or null.
 */
export function healthApp(notReady: () => string | null, metrics: Metrics): Express {
  const app = express();
  app.disable("x-powered-by");
  app.get("/livez", (_request, response) => {
    response.type("text").send("ok\n");
  });
  app.get("/readyz", (_request, response) => {
    const reason = notReady();
    response
      .status(reason === null ? 200 : 503)
      .type("text")
      .send(reason === null ? "ok\n" : `not ready: ${reason}\n`);
  });
  app.get("/metrics", async (_request, response) => {
    const { contentType, text } = await metrics.expose();
    response.setHeader("content-type", contentType);
    response.send(text);
  });
  return app;
}
