import type { RequestHandler } from "express";

/** What a review takes beside its body, at the least: without it, small ones would be without number. */
const LEAST_BYTES = 16 * 1024;

/** A request that is refused before its body is read. */
class BudgetError extends Error {
  readonly status: 411 | 503;

  constructor(status: 411 | 503, message: string) {
    super(message);
    this.status = status;
  }
}

/**
 * Lets reviews in as long as they fit into so many bytes, all together, from their headers to the end of their answers.
 * A body counts with the length that it announces; one that announces none is refused, as API servers never send any.
 */
export function reviewBudget(bytes: number): RequestHandler {
  let left = bytes;
  return (request, response, next) => {
    const length = request.headers["content-length"];
    if (length === undefined) {
      next(new BudgetError(411, "a review comes with its Content-Length"));
      return;
    }
    const taken = Math.max(LEAST_BYTES, Number(length));
    if (taken > left) {
      next(new BudgetError(503, `reviews of ${bytes} bytes are under way (listen.maxReviewBytes): ask again`));
      return;
    }
    left -= taken;
    response.once("close", () => {
      left += taken;
    });
    next();
  };
}
