import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { Agent, request } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Decision } from "../../src/admission/decision.ts";
import { createAuthority, issueServerCertificate } from "../../src/certs/authority.ts";
import { createLogger } from "../../src/observe/log.ts";
import { createMetrics } from "../../src/observe/metrics.ts";
import { observer } from "../../src/observe/observer.ts";
import { admissionApp } from "../../src/webhook/app.ts";
import { credentialFiles } from "../../src/webhook/credentials.ts";
import type { Decide } from "../../src/webhook/decide.ts";
import { startWebhook, type WebhookServer } from "../../src/webhook/server.ts";
import { samplePod } from "../admission/pods.ts";

interface Answer {
  readonly status: number;
  readonly headers: Record<string, string | string[] | undefined>;
  readonly body: string;
}

const MIB = 1024 * 1024;

describe("webhook server", () => {
  let folder: string;
  let ca: string;
  let server: WebhookServer;
  let agent: Agent;
  let decide: Decide;
  let ready: string | null;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "wasmount-webhook-"));
    const now = new Date();
    const authority = await createAuthority("test CA", 1, now);
    const leaf = await issueServerCertificate(authority, ["localhost", "127.0.0.1"], 1, now);
    ca = authority.certificate;
    await writeFile(join(folder, "tls.crt"), leaf.certificate);
    await writeFile(join(folder, "tls.key"), leaf.privateKey, { mode: 0o600 });
  });

  after(() => rm(folder, { recursive: true, force: true }));

  beforeEach(async () => {
    decide = async () => ({ outcome: "Skipped", reason: "NoFilters", detail: "" });
    ready = null;
    agent = new Agent({ ca, keepAlive: true });
    server = await start();
  });

  afterEach(async () => {
    agent.destroy();
    await server.drain();
  });

  async function start(lingerSeconds = 0): Promise<WebhookServer> {
    const log = createLogger("silent");
    const metrics = createMetrics();
    return startWebhook(
      {
        listen: {
          address: "127.0.0.1",
          port: 0,
          plainPort: 0,
          drainSeconds: 0,
          lingerSeconds,
          maxConnections: 64,
          maxReviewBytes: 64 * MIB,
        },
      },
      credentialFiles({ certFile: join(folder, "tls.crt"), keyFile: join(folder, "tls.key"), clientCaFile: null }),
      admissionApp(
        { mutate: request => decide(request), validate: request => decide(request) },
        observer(log, metrics, () => {}),
        64 * MIB,
      ),
      () => ready,
      log,
      metrics,
    );
  }

  function send(
    body: string,
    headers: Record<string, string> = {},
    path = "/mutate/namespace",
    method = "POST",
  ): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const outgoing = request(
        {
          host: "127.0.0.1",
          port: server.port,
          path,
          method,
          agent,
          headers: { "content-type": "application/json", ...headers },
        },
        response => {
          let text = "";
          response.setEncoding("utf8").on("data", chunk => {
            text += chunk;
          });
          response.on("end", () =>
            resolve({ status: response.statusCode ?? 0, headers: response.headers, body: text }),
          );
        },
      );
      outgoing.on("error", reject);
      outgoing.end(body);
    });
  }

  const review = (changes: object = {}) =>
    JSON.stringify({
      apiVersion: "admission.k8s.io/v1",
      kind: "AdmissionReview",
      request: {
        uid: "u1",
        operation: "CREATE",
        resource: { group: "", version: "v1", resource: "pods" },
        namespace: "shop",
        object: samplePod(),
        ...changes,
      },
    });

  const plain = async (path: string) => {
    const response = await fetch(`http://127.0.0.1:${server.plainPort}${path}`);
    return { status: response.status, text: await response.text() };
  };

  it("answers a review with its uid and the decision for the audit log", async () => {
    const { status, body } = await send(review());
    assert.equal(status, 200);
    assert.deepEqual(JSON.parse(body), {
      apiVersion: "admission.k8s.io/v1",
      kind: "AdmissionReview",
      response: { uid: "u1", allowed: true, auditAnnotations: { decision: "Skipped", reason: "NoFilters" } },
    });
  });

  it("carries a patch as base64", async () => {
    const patch = [{ op: "add", path: "/metadata/labels", value: { a: "b" } }] as const;
    const injected = {
      outcome: "Injected",
      reason: "Injected",
      detail: "",
      plan: {
        filters: [
          { name: "auth", repository: "registry.example/auth", digest: "sha256:a" },
          { name: "limits", repository: "registry.example/limits", digest: "sha256:b" },
        ],
      },
      planHash: "ab",
      patch,
      warnings: ["careful"],
      policies: [],
      audit: [],
    };
    decide = async () => injected as unknown as Decision;
    const { response } = JSON.parse((await send(review())).body);
    assert.equal(response.patchType, "JSONPatch");
    assert.deepEqual(JSON.parse(Buffer.from(response.patch, "base64").toString()), patch);
    assert.deepEqual(response.warnings, ["careful"]);
    assert.deepEqual(response.auditAnnotations, {
      decision: "Injected",
      reason: "Injected",
      plan: "ab",
      filters: "auth=registry.example/auth@sha256:a limits=registry.example/limits@sha256:b",
      policy: "none",
    });
  });

  it("denies with the reason's code, its sentence and what was found", async () => {
    decide = async () => ({ outcome: "Denied", reason: "BadValue", detail: "annotation x is y" });
    const { response } = JSON.parse((await send(review())).body);
    assert.equal(response.allowed, false);
    assert.equal(
      response.status.message,
      "wasmount: BadValue: An annotation's value is not one that its key allows. Annotation x is y.",
    );
  });

  it("turns an internal error into HTTP 500, never into a decision, and keeps its text to itself", async () => {
    decide = async () => {
      throw new Error("secret detail");
    };
    const { status, body } = await send(review());
    assert.equal(status, 500);
    assert.ok(!body.includes("secret"));
    assert.match((await plain("/metrics")).text, /wasmount_admission_failures_total\{side="mutate"\} 1/);
  });

  it("lets everything but the creation of a pod pass undecided", async () => {
    decide = () => assert.fail("it was asked");
    for (const changes of [{ operation: "UPDATE" }, { subResource: "exec" }, { resource: { resource: "services" } }]) {
      const { response } = JSON.parse((await send(review(changes))).body);
      assert.equal(response.allowed, true);
      assert.equal(response.auditAnnotations.reason, "NotAPodCreation");
    }
  });

  const broken: [title: string, status: number, body: string, headers?: Record<string, string>][] = [
    ["another content type", 415, review(), { "content-type": "text/plain" }],
    ["a body that is compressed", 415, review(), { "content-encoding": "gzip" }],
    ["an empty body", 400, ""],
    ["no JSON", 400, "{"],
    ["JSON that is no review", 400, "[]"],
    ["a review of another version", 400, review().replace("admission.k8s.io/v1", "admission.k8s.io/v1beta1")],
    ["a review without a request", 400, '{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview"}'],
    ["a request without uid", 400, review({ uid: undefined })],
    ["a request without namespace", 400, review({ namespace: undefined })],
    ["a pod without spec", 400, review({ object: { metadata: {} } })],
    ["a pod whose containers are no list", 400, review({ object: { metadata: {}, spec: { containers: "x" } } })],
    ["a container without a name", 400, review({ object: { metadata: {}, spec: { containers: [{}] } } })],
    [
      "an annotation that is no string",
      400,
      review({ object: { metadata: { annotations: { a: 1 } }, spec: { containers: [] } } }),
    ],
    [
      "a mount without a path",
      400,
      review({ object: { metadata: {}, spec: { containers: [{ name: "a", volumeMounts: [{ name: "v" }] }] } } }),
    ],
    [
      "a user that is no number",
      400,
      review({ object: { metadata: {}, spec: { containers: [{ name: "a", securityContext: { runAsUser: "0" } }] } } }),
    ],
    [
      "a subPath that is no string",
      400,
      review({
        object: {
          metadata: {},
          spec: { containers: [{ name: "a", volumeMounts: [{ name: "v", mountPath: "/v", subPath: 5 }] }] },
        },
      }),
    ],
    ["7 MiB and a byte", 413, `${" ".repeat(7 * MIB)} `],
  ];
  for (const [title, expected, body, headers] of broken) {
    it(`refuses ${title} with ${expected}`, async () => {
      const { status, body: text } = await send(body, headers);
      assert.equal(status, expected, text);
      assert.match(text, /^(wasmount: |an AdmissionReview)/);
      assert.equal((await send(review())).status, 200, "the next review is answered");
    });
  }

  it("takes a review of 7 MiB", async () => {
    const rest = 7 * MIB - Buffer.byteLength(review({ oldObject: "" }));
    const whole = review({ oldObject: "x".repeat(rest) });
    assert.equal(Buffer.byteLength(whole), 7 * MIB);
    assert.equal((await send(whole)).status, 200);
  });

  it("keeps connections for longer than API servers do, and answers one review after another on one", async () => {
    const { headers } = await send(review());
    const [, seconds] = /^timeout=(\d+)/.exec(String(headers["keep-alive"])) ?? [];
    // Go's http.Transport closes what was idle for 90 s (IdleConnTimeout), and so do API servers.
    assert.ok(Number(seconds) >= 100, `keep-alive: ${headers["keep-alive"]}`);
    await send(review());
    assert.equal(Object.values(agent.freeSockets).flat().length, 1);
  });

  it("answers only what it serves", async () => {
    assert.equal((await send("", {}, "/mutate/namespace", "GET")).status, 404);
    assert.equal((await send(review(), {}, "/other")).status, 404);
    assert.equal((await send(review(), {}, "/mutate/other?timeout=5s")).status, 404);
    assert.equal((await send(review(), {}, "/mutate/namespace?timeout=5s")).status, 200, "as API servers ask");
  });

  it("is live, and ready while it should be called", async () => {
    assert.equal((await plain("/livez")).status, 200);
    assert.equal((await plain("/readyz")).status, 200);
    ready = "namespaces can't be read";
    assert.deepEqual(await plain("/readyz"), { status: 503, text: "not ready: namespaces can't be read\n" });
    assert.equal((await plain("/livez")).status, 200);
  });

  it("counts decisions by outcome and reason", async () => {
    await send(review());
    const { text } = await plain("/metrics");
    assert.match(text, /wasmount_admission_decisions_total\{side="mutate",outcome="Skipped",reason="NoFilters"\} 1/);
    assert.match(text, /wasmount_admission_duration_seconds_count\{side="mutate"\} 1/);
  });

  it("answers the call in flight before it ends, and tells callers to leave", async () => {
    let release = () => {};
    const held = new Promise<void>(resolve => {
      release = resolve;
    });
    decide = async () => {
      await held;
      return { outcome: "Skipped", reason: "NoFilters", detail: "" };
    };
    const answer = send(review());
    await sleep(50);
    const drained = server.drain();
    await sleep(50);
    release();
    const { status, headers } = await answer;
    assert.equal(status, 200);
    assert.equal(headers["connection"], "close");
    await drained;
    await assert.rejects(send(review()), { code: "ECONNREFUSED" });
  });

  it("leaves an idle connection to its caller, answers what comes by it, and ends with it", async () => {
    const lingering = await start(60);
    const idle = server;
    server = lingering;
    await send(review());
    const drained = lingering.drain();
    assert.match((await plain("/readyz")).text, /draining/);
    // More than the time that it would wait for endpoints to be withdrawn.
    await sleep(100);
    const { status, headers } = await send(review());
    assert.deepEqual([status, headers["connection"]], [200, "close"]);
    await drained;
    server = idle;
  });

  it("ends with the last connection that its callers close", async () => {
    const lingering = await start(60);
    const idle = server;
    server = lingering;
    await send(review());
    const drained = lingering.drain();
    await sleep(100);
    agent.destroy();
    await drained;
    server = idle;
  });
});
