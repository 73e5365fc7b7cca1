import express, { type ErrorRequestHandler, type Express, type RequestHandler, type Response } from "express";
import type { Decision } from "../admission/decision.ts";
import { type Entry, entries, type Side, sides } from "../admission/entry.ts";
import { readPod } from "../admission/pod-object.ts";
import { reviewResponse } from "../admission/response.ts";
import { type ReviewRequest, readReview } from "../admission/review.ts";
import { ReviewError } from "../admission/review-error.ts";
import { messageOf } from "../error.ts";
import type { Pod } from "../kube/pod.ts";
import type { Observer } from "../observe/observer.ts";
import type { Decide } from "./decide.ts";
import { reviewBudget } from "./review-budget.ts";

/** The API server sends old and new object of up to 3 MB each, and the review around them. */
const BODY_LIMIT = "7mb";

/**
 * The admission endpoint: speaks HTTP and knows nothing of filters.
 * @param maxReviewBytes of all reviews under way
 */
export function admissionApp(
  decides: Readonly<Record<Side, Decide>>,
  observer: Observer,
  maxReviewBytes: number,
): Express {
  const app = express();
  app.disable("x-powered-by");
  app.disable("etag");
  const budget = reviewBudget(maxReviewBytes);
  const body = express.raw({ type: "application/json", limit: BODY_LIMIT });
  for (const side of sides) {
    for (const entry of entries) {
      app.post(`/${side}/${entry}`, requireJson, budget, body, review(side, entry, decides[side], observer));
    }
  }
  app.use((_request, response) => {
    const paths = `/mutate/ or /validate/ and one of ${entries.join(", ")}`;
    response.status(404).type("text").send(`wasmount answers POST ${paths}\n`);
  });
  app.use(failure(observer));
  return app;
}

const requireJson: RequestHandler = (request, response, next) => {
  if (request.is("application/json")) next();
  else response.status(415).type("text").send("an AdmissionReview comes as application/json\n");
};

function review(side: Side, entry: Entry, decide: Decide, observer: Observer): RequestHandler {
  return async (request, response) => {
    const started = process.hrtime.bigint();
    const asked = readReview(Buffer.isBuffer(request.body) ? request.body.toString("utf8") : "");
    const { uid, namespace, dryRun } = asked;
    const reviewed = () => ({ side, entry, uid, namespace, dryRun, seconds: secondsSince(started) });
    const pod = readCreation(asked);
    let decision: Decision;
    let answer: object;
    try {
      decision = pod === null ? notACreation(asked) : await decide({ pod, namespace, entry, dryRun });
      answer = reviewResponse(uid, decision);
    } catch (error) {
      // An answer, even a denial, would be a decision. Only an HTTP error makes the API server follow failurePolicy.
      response.status(500).type("text");
      send(response, "wasmount: internal error, see the webhook's log\n", () => observer.failed(reviewed(), error));
      return;
    }
    response.type("application/json");
    send(response, JSON.stringify(answer), answered => observer.decided({ ...reviewed(), decision, pod, answered }));
  };
}

/** Observers hear of an answer when it is on its way, and whether there still was somebody to have it. */
function send(response: Response, body: string, observe: (answered: boolean) => void): void {
  const answered = !response.destroyed && response.socket?.writable === true;
  const bytes = Buffer.from(body);
  response.setHeader("content-length", bytes.length);
  response.end(bytes);
  observe(answered);
}

/** @throws ReviewError where the object is no readable pod. */
function readCreation({ operation, resource, object }: ReviewRequest): Pod | null {
  return operation === "CREATE" && resource === "pods" ? readPod(object) : null;
}

function notACreation({ operation, resource }: ReviewRequest): Decision {
  return { outcome: "Skipped", reason: "NotAPodCreation", detail: `this is ${operation} of ${resource}` };
}

/** What is no readable review: the caller's mistake, said in one line, counted, never a decision. */
function failure(observer: Observer): ErrorRequestHandler {
  return (error, _request, response, next) => {
    if (response.headersSent) {
      next(error);
      return;
    }
    const status = error instanceof ReviewError ? 400 : typeof error?.status === "number" ? error.status : 500;
    response
      .status(status)
      .type("text")
      .send(status === 500 ? "wasmount: internal error\n" : `wasmount: ${messageOf(error)}\n`);
    observer.rejected(status, error);
  };
}

function secondsSince(started: bigint): number {
  return Number(process.hrtime.bigint() - started) / 1e9;
}
