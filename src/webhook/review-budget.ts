import type { IncomingMessage, ServerResponse } from "node:http";

/** What a review takes beside its body, at the least: without it, small ones would be without number. */
const LEAST_BYTES = 16 * 1024;

/** A request that is refused before its body is read. */
export class BudgetError extends Error {
  readonly status: 411 | 503;

  constructor(status: 411 | 503, message: string) {
    super(message);
    this.status = status;
  }
}

/** Lets a review in, or says why not. What it takes is given back when its answer has ended, however that comes. */
export type ReviewBudget = (request: IncomingMessage, response: ServerResponse) => BudgetError | null;

/**
 * Lets reviews in as long as they fit into so many bytes, all together, from their headers to the end of their answers.
 * A body counts with the length that it announces; one that announces none is refused, as API servers never send any.
 */
export function reviewBudget(bytes: number): ReviewBudget {
  let left = bytes;
  return ({ headers }, response) => {
    const length = headers["content-length"];
    if (length === undefined) return new BudgetError(411, "a review comes with its Content-Length");
    const taken = Math.max(LEAST_BYTES, Number(length));
    if (taken > left) {
      return new BudgetError(503, `reviews of ${bytes} bytes are under way (listen.maxReviewBytes): ask again`);
    }
    left -= taken;
    response.once("close", () => {
      left += taken;
    });
    return null;
  };
}
