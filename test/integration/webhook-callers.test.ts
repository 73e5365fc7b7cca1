import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { Agent, type RequestOptions, request } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { connect, type TLSSocket } from "node:tls";
import express, { type Response } from "express";
import type { Decision } from "../../src/admission/decision.ts";
import { type Credentials, createAuthority, issueServerCertificate } from "../../src/certs/authority.ts";
import { createLogger } from "../../src/observe/log.ts";
import { createMetrics } from "../../src/observe/metrics.ts";
import { observer } from "../../src/observe/observer.ts";
import { admissionApp } from "../../src/webhook/app.ts";
import { credentialFiles } from "../../src/webhook/credentials.ts";
import type { Decide } from "../../src/webhook/decide.ts";
import { PATIENCE, type Patience } from "../../src/webhook/patience.ts";
import { startWebhook, type WebhookServer } from "../../src/webhook/server.ts";
import { samplePod } from "../admission/pods.ts";
import { issueClientCertificate } from "../environment/client-certificate.ts";
import { until } from "../environment/until.ts";

const MIB = 1024 * 1024;
const skipped: Decision = { outcome: "Skipped", reason: "NoFilters", detail: "" };

interface Options {
  readonly patience?: Partial<Patience>;
  readonly maxConnections?: number;
  readonly maxReviewBytes?: number;
  readonly clientCa?: string;
}

/** Who calls the webhook, and how: most of this no API server does, and whoever reaches the port may. */
describe("a webhook's callers", function () {
  // What is waited for comes soon, or never.
  this.timeout(25_000);
  let folder: string;
  let authority: Credentials;
  let server: WebhookServer | undefined;
  let agents: Agent[];
  let decide: Decide;
  let responses: Response[];
  let announced: Decision[];
  let endedBefore: boolean[];

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "wasmount-callers-"));
    const now = new Date();
    authority = await createAuthority("test CA", 1, now);
    const leaf = await issueServerCertificate(authority, ["localhost", "127.0.0.1"], 1, now);
    await writeFile(join(folder, "tls.crt"), leaf.certificate);
    await writeFile(join(folder, "tls.key"), leaf.privateKey, { mode: 0o600 });
  });

  after(() => rm(folder, { recursive: true, force: true }));

  beforeEach(() => {
    decide = async () => skipped;
    [agents, responses, announced, endedBefore] = [[], [], [], []];
  });

  afterEach(async () => {
    for (const agent of agents) agent.destroy();
    await server?.drain();
    server = undefined;
  });

  async function start({ patience, maxConnections = 64, maxReviewBytes = 64 * MIB, clientCa }: Options = {}) {
    const clientCaFile = clientCa === undefined ? null : join(folder, "client-ca.crt");
    if (clientCaFile !== null) await writeFile(clientCaFile, clientCa ?? "");
    const log = createLogger("silent");
    const metrics = createMetrics();
    const observing = observer(log, metrics, decision => announced.push(decision));
    const admission = admissionApp(
      { mutate: asked => decide(asked), validate: asked => decide(asked) },
      {
        ...observing,
        decided(decided) {
          endedBefore.push(responses.at(-1)?.writableEnded ?? false);
          observing.decided(decided);
        },
      },
      maxReviewBytes,
    );
    const app = express();
    app.use((_request, response, next) => {
      responses.push(response);
      next();
    });
    app.use(admission);
    const listen = {
      address: "127.0.0.1",
      port: 0,
      plainPort: 0,
      drainSeconds: 0,
      lingerSeconds: 0,
      maxConnections,
      maxReviewBytes,
    };
    const tls = { certFile: join(folder, "tls.crt"), keyFile: join(folder, "tls.key"), clientCaFile };
    server = await startWebhook({ listen }, credentialFiles(tls), app, () => null, log, metrics, {
      ...PATIENCE,
      ...patience,
    });
  }

  const port = () => server?.port ?? assert.fail("no server");

  /** As API servers do, on connections that are kept: a body that nobody wants is read to its end, and dropped. */
  function call({ cert, key, ...options }: RequestOptions = {}) {
    const agent = new Agent({ ca: authority.certificate, cert, key, keepAlive: true });
    agents.push(agent);
    const headers = { "content-type": "application/json", ...options.headers };
    const place = { host: "127.0.0.1", port: port(), path: "/mutate/namespace", method: "POST" };
    return request({ ...options, ...place, agent, headers });
  }

  async function send(body: string, options: RequestOptions = {}): Promise<number> {
    const outgoing = call(options).end(body);
    const [response] = (await once(outgoing, "response")) as [{ statusCode: number; resume(): unknown }];
    response.resume();
    return response.statusCode;
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

  async function raw(): Promise<TLSSocket> {
    const socket = connect({ host: "127.0.0.1", port: port(), ca: authority.certificate });
    socket.on("error", () => {});
    await once(socket, "secureConnect");
    return socket;
  }

  async function metric(name: string): Promise<number> {
    const text = await (await fetch(`http://127.0.0.1:${server?.plainPort}/metrics`)).text();
    return Number(new RegExp(`^${name.replace(/[{}"]/g, "\\$&")} (.+)$`, "m").exec(text)?.[1] ?? 0);
  }

  function eventually(what: string, holds: () => boolean | Promise<boolean>): Promise<true> {
    return until(what, holds, { seconds: 20, pauseMs: 20, bears: () => false });
  }

  /** Sends a little again and again, until the server has had enough. */
  async function drip(socket: TLSSocket, text: string): Promise<string> {
    let answer = "";
    socket.setEncoding("utf8").on("data", chunk => {
      answer += chunk;
    });
    const closed = new Promise(resolve => socket.once("close", resolve));
    const dripping = setInterval(() => socket.write(text), 20);
    await closed;
    clearInterval(dripping);
    return answer;
  }

  describe("that are slow", () => {
    const HEAD = "POST /mutate/namespace HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n";

    it("with their headers are cut off", async () => {
      await start({ patience: { headersMs: 200, requestMs: 600_000, checkMs: 20 } });
      const socket = await raw();
      socket.write(HEAD);
      assert.match(await drip(socket, "x"), /^(HTTP\/1\.1 408 |$)/);
    });

    it("with their body are cut off", async () => {
      await start({ patience: { headersMs: 200, requestMs: 200, checkMs: 20 } });
      const socket = await raw();
      socket.write(`${HEAD}content-length: ${7 * MIB}\r\n\r\n`);
      assert.match(await drip(socket, " "), /^(HTTP\/1\.1 408 |$)/);
    });

    it("to call by a connection that they made are answered, however short the patience with calls", async () => {
      await start({ patience: { headersMs: 50, requestMs: 50, checkMs: 10 } });
      const socket = await raw();
      await sleep(300);
      const body = review();
      for (const _ of ["its first call", "one more, after as long"]) {
        socket.write(`${HEAD}content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`);
        const [answer] = (await once(socket, "data")) as [Buffer];
        assert.match(answer.toString(), /^HTTP\/1\.1 200 /);
        await sleep(300);
      }
      socket.destroy();
    });

    it("to call at all are cut off in the end", async () => {
      await start({ patience: { keepAliveMs: 100, checkMs: 10 } });
      const socket = await raw();
      await once(socket.resume(), "close");
    });

    it("with their handshake are cut off", async () => {
      await start({ patience: { handshakeMs: 200 } });
      const { connect: connectPlain } = await import("node:net");
      const socket = connectPlain(port(), "127.0.0.1");
      await once(socket, "close");
      assert.equal(await metric("wasmount_tls_handshake_failures_total"), 1);
    });

    it("are given no longer than an API server waits, and looked at often enough for that", () => {
      const { handshakeMs, headersMs, requestMs, checkMs } = PATIENCE;
      for (const milliseconds of [handshakeMs, headersMs, requestMs]) assert.ok(milliseconds + checkMs <= 11_000);
    });
  });

  describe("that leave", () => {
    it("before the decision are counted and logged, and nothing is announced", async () => {
      await start();
      const { promise: held, resolve: release } = Promise.withResolvers<Decision>();
      decide = () => held;
      const outgoing = call();
      outgoing.on("error", () => {});
      outgoing.end(review());
      await eventually("the review's arrival", () => responses.length === 1);
      const closed = once(responses[0] ?? assert.fail(), "close");
      outgoing.destroy();
      await closed;
      release({ outcome: "Denied", reason: "BadValue", detail: "" });
      await eventually("the decision", () => endedBefore.length === 1);
      assert.deepEqual(announced, []);
      assert.equal(await metric('wasmount_admission_unanswered_total{side="mutate"}'), 1);
      assert.equal(
        await metric('wasmount_admission_decisions_total{side="mutate",outcome="Denied",reason="BadValue"}'),
        1,
      );
    });

    it("in the middle of a review are counted as a rejection", async () => {
      await start();
      const outgoing = call({ headers: { "content-length": "1000" } });
      outgoing.on("error", () => {});
      outgoing.write("{");
      await eventually("the review's arrival", () => responses.length === 1);
      outgoing.destroy();
      const rejections = 'wasmount_admission_rejections_total{status="400"}';
      await eventually("the rejection", async () => (await metric(rejections)) === 1);
      assert.equal(await send(review()), 200);
    });
  });

  it("have their answer before anybody is told of it", async () => {
    await start();
    decide = async () => ({ outcome: "Denied", reason: "BadValue", detail: "" });
    assert.equal(await send(review()), 200);
    await eventually("the announcement", () => announced.length === 1);
    assert.deepEqual(endedBefore, [true]);
  });

  describe("that are many", () => {
    it("have so many connections, and no more", async () => {
      await start({ maxConnections: 2 });
      const [one] = [await raw(), await raw()];
      await assert.rejects(raw());
      assert.equal(await metric("wasmount_connections_dropped_total"), 1);
      const closed = once(one, "close");
      one.destroy();
      await closed;
      await eventually("a place", () =>
        raw().then(
          () => true,
          () => false,
        ),
      );
    });

    it("have so many bytes under way, and no more", async () => {
      await start({ maxReviewBytes: 8 * MIB });
      const large = review({ oldObject: "x".repeat(6 * MIB) });
      const holding = call({ headers: { "content-length": String(7 * MIB) } });
      holding.on("error", () => {});
      holding.write("{");
      await eventually("the first review's arrival", () => responses.length === 1);
      assert.equal(await send(large), 503);
      assert.equal(await send(review()), 200, "there is room for a small one");
      holding.destroy();
      await eventually("room", async () => (await send(large)) === 200);
      assert.equal(await send(large), 200, "an answered review is under way no more");
    });

    it("have so many small reviews under way, too", async () => {
      await start({ maxReviewBytes: 40 * 1024 });
      const { promise: held, resolve: release } = Promise.withResolvers<Decision>();
      decide = () => held;
      const answers = [send(review()), send(review())];
      await eventually("both reviews' arrival", () => responses.length === 2);
      assert.equal(await send(review()), 503);
      release(skipped);
      assert.deepEqual(await Promise.all(answers), [200, 200]);
    });

    it("must say how much they send", async () => {
      await start();
      assert.equal(await send(review(), { headers: { "transfer-encoding": "chunked" } }), 411);
    });
  });

  describe("of whom a certificate is asked for", () => {
    const certificate = (issuer: Credentials) => {
      const { certificate: cert, privateKey: key } = issueClientCertificate(issuer, "kube-apiserver");
      return { cert, key };
    };

    it("are answered if one of the authorities signed it, and nobody else is", async () => {
      const [clients, others] = await Promise.all([
        createAuthority("API servers", 1, new Date()),
        createAuthority("others", 1, new Date()),
      ]);
      await start({ clientCa: clients.certificate });
      assert.equal(await send(review(), certificate(clients)), 200);
      await assert.rejects(send(review()), { code: /ERR_SSL|ECONNRESET/ });
      await assert.rejects(send(review(), certificate(others)), { code: /ERR_SSL|ECONNRESET/ });
      await assert.rejects(send(review(), certificate(authority)), "the server's own authority is none");
      const { certificate: cert, privateKey: key } = await issueServerCertificate(clients, ["a"], 1, new Date());
      await assert.rejects(send(review(), { cert, key }), "a server's certificate is no client's");
      assert.equal(responses.length, 1);
      await until(
        "four handshakes to be counted",
        async () => (await metric("wasmount_tls_handshake_failures_total")) === 4,
      );
    });

    it("hear of other authorities when the file changes", async () => {
      const [old, other] = await Promise.all([
        createAuthority("old", 1, new Date()),
        createAuthority("new", 1, new Date()),
      ]);
      await start({ clientCa: old.certificate });
      const [before, after] = [certificate(old), certificate(other)];
      await assert.rejects(send(review(), after));
      await writeFile(join(folder, "client-ca.new"), other.certificate);
      await rename(join(folder, "client-ca.new"), join(folder, "client-ca.crt"));
      await eventually("the new authority", () =>
        send(review(), after).then(
          () => true,
          () => false,
        ),
      );
      await assert.rejects(send(review(), before));
    });

    it("are not waited for with authorities that are none", async () => {
      const leaf = issueClientCertificate(authority, "leaf").certificate;
      const ended = await createAuthority("ended", 1, new Date(Date.now() - 30 * 86_400_000));
      const wrong: [text: string, message: RegExp][] = [
        ["", /tls\.clientCaFile .* holds no certificate in PEM form/],
        ["-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", /tls\.clientCaFile .*, certificate 1: /],
        [authority.certificate + leaf, /certificate 2 is not an authority's/],
        [ended.certificate, /holds none that is still valid, the first ended \d{4}-/],
      ];
      for (const [clientCa, message] of wrong) await assert.rejects(start({ clientCa }), { code: "Unusable", message });
    });
  });
});
