import { ReviewError } from "./review-error.ts";

/** @throws ReviewError BadRequest */
export function string(value: unknown, path: string): string {
  if (typeof value !== "string") throw wrong(path, "a string");
  return value;
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** What to throw for a member that is not what it must be. */
export function wrong(path: string, expected: string): ReviewError {
  return new ReviewError("BadRequest", `the request's ${path} must be ${expected}`);
}
