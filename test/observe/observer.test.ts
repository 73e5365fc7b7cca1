import assert from "node:assert/strict";
import type { Decision } from "../../src/admission/decision.ts";
import { createLogger } from "../../src/observe/log.ts";
import { createMetrics } from "../../src/observe/metrics.ts";
import { type Decided, observer } from "../../src/observe/observer.ts";
import { samplePod } from "../admission/pods.ts";

const denied: Decision = { outcome: "Denied", reason: "BadValue", detail: "" };
const skipped: Decision = { outcome: "Skipped", reason: "HostNetwork", detail: "" };

describe("what is announced of a decision", () => {
  function announcedOf(changes: Partial<Decided>): number {
    let count = 0;
    const observing = observer(createLogger("silent"), createMetrics(), () => {
      count += 1;
    });
    const pod = samplePod();
    const reviewed = { side: "mutate", entry: "namespace", uid: "u", namespace: "shop", seconds: 0 } as const;
    observing.decided({ ...reviewed, dryRun: false, decision: denied, pod, answered: true, ...changes });
    return count;
  }

  it("is all that an admission came of", () => {
    assert.equal(announcedOf({}), 1);
    assert.equal(announcedOf({ side: "validate" }), 1);
  });

  it("is nothing of a dry run, of what is no pod, and of what nobody had the answer to", () => {
    assert.equal(announcedOf({ dryRun: true }), 0);
    assert.equal(announcedOf({ pod: null }), 0);
    assert.equal(announcedOf({ answered: false }), 0);
  });

  it("is a skipped pod once, though both sides skip it", () => {
    assert.equal(announcedOf({ decision: skipped, side: "mutate" }), 0);
    assert.equal(announcedOf({ decision: skipped, side: "validate" }), 1);
  });
});
