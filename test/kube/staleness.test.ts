import assert from "node:assert/strict";
import { parseConfig } from "../../src/config/load.ts";
import { LIMIT_RANGE_CACHE_SETTINGS } from "../../src/kube/limit-range-cache.ts";
import { NAMESPACE_CACHE_SETTINGS } from "../../src/kube/namespace-cache.ts";
import { shippedNow } from "../environment/installation.ts";

/** The bounds that ARCHITECTURE.md promises follow from these, and from what the caches' own tests show. */
describe("how old what is held may be", () => {
  const { limits } = parseConfig("{tls: {certFile: a, keyFile: b}, fetcher: {image: c}}", "defaults");

  for (const [name, settings] of [
    ["namespaces", NAMESPACE_CACHE_SETTINGS],
    ["LimitRanges", LIMIT_RANGE_CACHE_SETTINGS],
  ] as const) {
    it(`is 50 s on a connection that is silent, and 60 s at all: ${name}`, () => {
      assert.deepEqual([settings.silenceMs, settings.staleMs], [50_000, 60_000]);
      // A watch ends, and bookmarks come before its end: that a good one is silent for longer can't be.
      assert.ok(settings.watchMs < settings.silenceMs);
      // A silent watch is found out before what it held is too old to answer while another one is opened.
      assert.ok(settings.silenceMs < settings.staleMs);
    });

    it(`is read directly in less than half of a review's time, since that may happen twice: ${name}`, () => {
      assert.ok(settings.readMs * 2 < limits.reviewSeconds * 1000);
    });
  }

  it("leaves time to answer before the API server gives up", () => {
    for (const { webhooks } of shippedNow("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration")) {
      for (const { timeoutSeconds } of webhooks) assert.ok(limits.reviewSeconds <= timeoutSeconds - 0.5);
    }
  });
});
