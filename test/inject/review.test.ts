import assert from "node:assert/strict";
import { applyPatch, type Operation } from "rfc6902";
import { assertInjected, inject, template } from "./injecting.ts";

function review(changes: object = {}, request: object = {}): string {
  return JSON.stringify({
    apiVersion: "admission.k8s.io/v1",
    kind: "AdmissionReview",
    request: {
      uid: "uid-1",
      operation: "CREATE",
      resource: { group: "", version: "v1", resource: "pods" },
      namespace: "shop",
      object: { apiVersion: "v1", kind: "Pod", ...template(), ...changes },
      ...request,
    },
  });
}

describe("injection of an AdmissionReview", () => {
  it("answers as the webhook does", async () => {
    const { text, messages, denied } = await inject(review(), { review: true });
    assert.deepEqual([messages, denied], [[], false]);
    const { kind, response } = JSON.parse(text);
    assert.deepEqual([kind, response.uid, response.allowed], ["AdmissionReview", "uid-1", true]);
    const pod = template();
    applyPatch(pod, JSON.parse(Buffer.from(response.patch, "base64").toString()) as Operation[]);
    assertInjected(pod);
  });

  it("answers a denial, and says it", async () => {
    const annotations = { "wasmount.dev/moduel.x": "a" };
    const labels = { "wasmount.dev/inject": "true" };
    const { text, messages, denied } = await inject(review({ metadata: { labels, annotations } }), { review: true });
    const { response } = JSON.parse(text);
    assert.equal(response.allowed, false);
    assert.match(response.status.message, /UnknownKey.*did you mean wasmount\.dev\/module\.x\?/);
    assert.equal(denied, true);
    assert.match(messages.join(), /^review uid-1: Denied: UnknownKey: /);
  });

  it("lets everything through that is not the creation of a pod", async () => {
    for (const request of [{ operation: "UPDATE" }, { subResource: "status" }]) {
      const { text, messages } = await inject(review({}, request), { review: true, explain: true });
      const { response } = JSON.parse(text);
      assert.deepEqual([response.allowed, response.patch], [true, undefined]);
      assert.match(messages.join(), /Skipped: NotAPodCreation/);
    }
  });

  it("reads the namespace of the request", async () => {
    const metadata = { ...template().metadata, labels: {} };
    const { messages } = await inject(review({ metadata }), { review: true, explain: true });
    assert.match(messages.join(), /Skipped: NotSwitchedOn/);
  });

  it("refuses what is no review, or holds no pod", async () => {
    const refused = (text: string, message: RegExp) =>
      assert.rejects(inject(text, { review: true }), { name: "InjectError", code: "BadObject", message });
    await refused("kind: Pod", /^standard input: the body is not JSON$/);
    await refused("{}", /not an AdmissionReview/);
    await refused(review({ spec: { containers: "x" } }), /object\.spec\.containers must be a list/);
  });

  it("refuses several files", async () => {
    await assert.rejects(inject(review(), { review: true, files: ["-", "package.json"] }), {
      code: "BadUsage",
      message: /--review reads one AdmissionReview, and 2 files are given/,
    });
  });
});
