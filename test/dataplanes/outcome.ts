import assert from "node:assert/strict";
import type { Reason } from "../../src/decision/reason.ts";
import { isRefusal, type OrRefusal } from "../../src/decision/refusal.ts";

/** What was to be granted. @throws AssertionError with the refusal's words */
export function granted<Value>(value: OrRefusal<Value>): Value {
  return isRefusal(value) ? assert.fail(`${value.reason}: ${value.detail}`) : value;
}

/** Asserts that something was refused, for this reason and in these words. */
export function refused(value: unknown, reason: Reason, detail: RegExp): void {
  assert.ok(isRefusal(value), `accepted as ${JSON.stringify(value)}`);
  assert.equal(value.reason, reason, value.detail);
  assert.match(value.detail, detail);
}
