import express, { type ErrorRequestHandler, type Express, type RequestHandler } from "express";
import type { Decision } from "../admission/decision.ts";
import { reviewResponse } from "../admission/response.ts";
import { ReviewError, type ReviewRequest, readPod, readReview } from "../admission/review.ts";
import { messageOf } from "../error.ts";
import type { Pod } from "../kube/pod.ts";
import type { Logger } from "../observe/log.ts";
import type { Metrics } from "../observe/metrics.ts";

/** The API server sends old and new object of up to 3 MB each, and the review around them. */
const BODY_LIMIT = "7mb";

/** Decides about a pod that is being created in a namespace. A rejection is an internal error. */
export type Decide = (pod: Pod, namespace: string) => Promise<Decision>;

/** The admission endpoint: speaks HTTP and knows nothing of filters. */
export function admissionApp(decide: Decide, log: Logger, metrics: Metrics): Express {
  const app = express();
  app.disable("x-powered-by");
  app.disable("etag");
  app.post(
    "/mutate",
    requireJson,
    express.text({ type: "application/json", limit: BODY_LIMIT }),
    mutate(decide, log, metrics),
  );
  app.use((_request, response) => {
    response.status(404).type("text").send("wasmount answers POST /mutate\n");
  });
  app.use(failure(log, metrics));
  return app;
}

const requireJson: RequestHandler = (request, response, next) => {
  if (request.is("application/json")) next();
  else response.status(415).type("text").send("an AdmissionReview comes as application/json\n");
};

function mutate(decide: Decide, log: Logger, metrics: Metrics): RequestHandler {
  return async (request, response) => {
    const started = process.hrtime.bigint();
    const review = readReview(typeof request.body === "string" ? request.body : "");
    try {
      const { decision, name } = await decideReview(review, decide);
      const seconds = secondsSince(started);
      response.json(reviewResponse(review.uid, decision));
      metrics.decided(decision, seconds);
      log[decision.outcome === "Denied" ? "warn" : "info"](
        {
          uid: review.uid,
          namespace: review.namespace,
          pod: name,
          dryRun: review.dryRun,
          outcome: decision.outcome,
          reason: decision.reason,
          detail: decision.detail,
          ...("cause" in decision && { cause: decision.cause }),
          ...(decision.outcome === "Injected" && { plan: decision.planHash, operations: decision.patch.length }),
          ms: Math.round(seconds * 1e6) / 1e3,
        },
        "decided",
      );
    } catch (error) {
      if (error instanceof ReviewError) throw error;
      // An answer, even a denial, would be a decision. Only an HTTP error makes the API server follow failurePolicy.
      metrics.failed(secondsSince(started));
      log.error(
        {
          uid: review.uid,
          namespace: review.namespace,
          error: messageOf(error),
          stack: error instanceof Error ? error.stack : undefined,
        },
        "internal error",
      );
      response.status(500).type("text").send("wasmount: internal error, see the webhook's log\n");
    }
  };
}

async function decideReview(review: ReviewRequest, decide: Decide): Promise<{ decision: Decision; name: string }> {
  if (review.operation !== "CREATE" || review.resource !== "pods") {
    const detail = `this is ${review.operation} of ${review.resource}`;
    return { decision: { outcome: "Skipped", reason: "NotAPodCreation", detail }, name: "" };
  }
  const pod = readPod(review.object);
  const name = pod.metadata.name ?? `${pod.metadata.generateName ?? ""}*`;
  return { decision: await decide(pod, review.namespace), name };
}

/** What is no readable review: the caller's mistake, said in one line, counted, never a decision. */
function failure(log: Logger, metrics: Metrics): ErrorRequestHandler {
  return (error, _request, response, next) => {
    if (response.headersSent) {
      next(error);
      return;
    }
    const status = error instanceof ReviewError ? 400 : typeof error?.status === "number" ? error.status : 500;
    metrics.rejected(status);
    log.warn({ status, error: messageOf(error) }, "rejected a request");
    response
      .status(status)
      .type("text")
      .send(status === 500 ? "wasmount: internal error\n" : `wasmount: ${messageOf(error)}\n`);
  };
}

function secondsSince(started: bigint): number {
  return Number(process.hrtime.bigint() - started) / 1e9;
}
