import assert from "node:assert/strict";
import { eventName, eventObject, eventSeries } from "../../src/kube/event.ts";

const content = {
  regarding: { apiVersion: "apps/v1", kind: "ReplicaSet", name: "shop", namespace: "web", uid: "u" },
  type: "Warning",
  reason: "BadValue",
  action: "Deny",
  note: "why",
} as const;
const reporter = { controller: "wasmount.dev/webhook", instance: "replica-1" };

describe("an Event", () => {
  it("has all that events.k8s.io/v1 asks for", () => {
    assert.deepEqual(eventObject(content, reporter, "0f", 1_000_000_000_123), {
      apiVersion: "events.k8s.io/v1",
      kind: "Event",
      metadata: { name: "shop.0f", namespace: "web" },
      eventTime: "2001-09-09T01:46:40.123000Z",
      reportingController: "wasmount.dev/webhook",
      reportingInstance: "replica-1",
      action: "Deny",
      reason: "BadValue",
      regarding: content.regarding,
      note: "why",
      type: "Warning",
    });
    assert.deepEqual(eventSeries(3, 1_000_000_000_123), {
      series: { count: 3, lastObservedTime: "2001-09-09T01:46:40.123000Z" },
    });
  });

  it("has a note of at most 1024 bytes, cut between characters", () => {
    for (const character of ["x", "é", "€", "😀"]) {
      const { note } = eventObject({ ...content, note: character.repeat(1025) }, reporter, "0", 0) as { note: string };
      assert.ok(Buffer.byteLength(note) <= 1024 && Buffer.byteLength(note) > 1015, character);
      assert.match(note, /^(.)\1*…$/u);
    }
  });

  const names: [subject: string, name: string][] = [
    ["shop", "shop.0f"],
    ["a.b-c", "a.b-c.0f"],
    ["ReplicaSet_1", "replicaset-1.0f"],
    ["..", "0f"],
    ["-a-.-b-", "a.b.0f"],
    ["", "0f"],
  ];
  for (const [subject, name] of names) {
    it(`about ${JSON.stringify(subject)} is called ${name}`, () => assert.equal(eventName(subject, "0f"), name));
  }

  it("has a name that fits, however long its object's is", () => {
    assert.ok(eventName("a".repeat(253), "0f".repeat(16)).length <= 253);
  });
});
