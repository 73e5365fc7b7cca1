import express, {
  type ErrorRequestHandler,
  type Express,
  type Request,
  type RequestHandler,
  type Response,
} from "express";
import type { Decision } from "../admission/decision.ts";
import { type Entry, entries, type Side, sides } from "../admission/entry.ts";
import { readPod } from "../admission/pod-object.ts";
import { responseText } from "../admission/response.ts";
import { type ReviewRequest, readReview } from "../admission/review.ts";
import { ReviewError } from "../admission/review-error.ts";
import { messageOf } from "../error.ts";
import type { Pod } from "../kube/pod.ts";
import type { Observer } from "../observe/observer.ts";
import type { Decide } from "./decide.ts";
import { BodyError, readBody } from "./review-body.ts";
import { reviewBudget } from "./review-budget.ts";

/** The API server sends old and new object of up to 3 MB each, and the review around them. */
const BODY_BYTES = 7 * 1024 * 1024;
const JSON_TYPE = "application/json";

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
  app.use(reviews(endpoints(decides), observer, maxReviewBytes));
  app.use((_request, response) => {
    const paths = `/mutate/ or /validate/ and one of ${entries.join(", ")}`;
    response.status(404).type("text").send(`wasmount answers POST ${paths}\n`);
  });
  app.use(failure(observer));
  return app;
}

interface Endpoint {
  readonly side: Side;
  readonly entry: Entry;
  readonly decide: Decide;
}

/** By their paths. */
function endpoints(decides: Readonly<Record<Side, Decide>>): ReadonlyMap<string, Endpoint> {
  return new Map(
    sides.flatMap(side => entries.map(entry => [`/${side}/${entry}`, { side, entry, decide: decides[side] }] as const)),
  );
}

/** One handler for all of a review's way: each step of its own in express would cost as much as what it does. */
function reviews(endpoints: ReadonlyMap<string, Endpoint>, observer: Observer, maxReviewBytes: number): RequestHandler {
  const budget = reviewBudget(maxReviewBytes);
  return (request, response, next) => {
    const endpoint = request.method === "POST" ? endpoints.get(pathOf(request.url)) : undefined;
    if (endpoint === undefined) {
      next();
      return;
    }
    if (!isJson(request)) {
      response.status(415).type("text").send("an AdmissionReview comes as application/json\n");
      return;
    }
    const excess = budget(request, response);
    if (excess !== null) {
      next(excess);
      return;
    }
    readBody(request, BODY_BYTES, body => {
      if (body instanceof BodyError) next(body);
      else review(endpoint, body, response, observer).catch(next);
    });
  };
}

/** API servers ask with `?timeout=5s`. */
function pathOf(url: string): string {
  const query = url.indexOf("?");
  return query < 0 ? url : url.slice(0, query);
}

/** API servers say it without parameters, and need no parser for it. */
function isJson(request: Request): boolean {
  return request.headers["content-type"] === JSON_TYPE || request.is(JSON_TYPE) === JSON_TYPE;
}

/** @throws ReviewError */
async function review(
  { side, entry, decide }: Endpoint,
  body: Buffer,
  response: Response,
  observer: Observer,
): Promise<void> {
  const started = performance.now();
  const asked = readReview(body.toString("utf8"));
  const { uid, namespace, dryRun } = asked;
  const reviewed = () => ({ side, entry, uid, namespace, dryRun, seconds: (performance.now() - started) / 1000 });
  const pod = readCreation(asked);
  let decision: Decision;
  let answer: string;
  try {
    decision = pod === null ? notACreation(asked) : await decide({ pod, namespace, entry, dryRun });
    answer = responseText(uid, decision);
  } catch (error) {
    // An answer, even a denial, would be a decision. Only an HTTP error makes the API server follow failurePolicy.
    const text = "wasmount: internal error, see the webhook's log\n";
    send(response, 500, "text/plain; charset=utf-8", text, () => observer.failed(reviewed(), error));
    return;
  }
  send(response, 200, `${JSON_TYPE}; charset=utf-8`, answer, answered =>
    observer.decided({ ...reviewed(), decision, pod, answered }),
  );
}

/** Observers hear of an answer when it is on its way, and whether there still was somebody to have it. */
function send(
  response: Response,
  status: number,
  type: string,
  body: string,
  observe: (answered: boolean) => void,
): void {
  const answered = !response.destroyed && response.socket?.writable === true;
  response.writeHead(status, ["content-type", type, "content-length", String(Buffer.byteLength(body))]);
  // One text: head and body leave as one record of TLS.
  response.end(body);
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
