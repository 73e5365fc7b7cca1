import assert from "node:assert/strict";
import { mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { Agent, request } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TLSSocket } from "node:tls";
import { stringify } from "yaml";
import { type Credentials, createAuthority, issueServerCertificate } from "../../src/certs/authority.ts";
import { sampleNamespace } from "../admission/pods.ts";
import { until } from "../environment/until.ts";
import { startWebhookProcess, type WebhookProcess } from "../environment/webhook-process.ts";

const NAMES: [string, ...string[]] = ["localhost", "127.0.0.1"];
const DAY = 86_400_000;

describe("a webhook's certificate", () => {
  let folder: string;
  let webhook: WebhookProcess;
  let agents: Agent[];

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "wasmount-certificate-"));
    const namespaces = join(folder, "namespaces.yaml");
    const { name, labels } = sampleNamespace();
    await writeFile(namespaces, stringify({ apiVersion: "v1", kind: "Namespace", metadata: { name, labels } }));
    webhook = await startWebhookProcess({
      folder,
      namespaces: ["--namespace-file", namespaces],
      config: { fetcher: { image: "registry.example/wasmount:1" } },
    });
    agents = [];
  });

  afterEach(async () => {
    for (const agent of agents) agent.destroy();
    await webhook.stop();
    await rm(folder, { recursive: true });
  });

  function agentOf(ca: string): Agent {
    const agent = new Agent({ ca, keepAlive: true, maxSockets: 1 });
    agents.push(agent);
    return agent;
  }

  /** @returns the serial number of the certificate that answered, and whether its connection was used before */
  function ask(agent: Agent): Promise<{ readonly serial: string; readonly reused: boolean }> {
    return new Promise((resolve, reject) => {
      const outgoing = request(webhook.url, { agent }, response => {
        const serial = (response.socket as TLSSocket).getPeerCertificate().serialNumber;
        response.resume().on("end", () => resolve({ serial, reused: outgoing.reusedSocket }));
      });
      outgoing.on("error", reject).end();
    });
  }

  async function replace({ certificate, privateKey }: Credentials): Promise<void> {
    for (const [file, text] of [
      [webhook.files.certFile, certificate],
      [webhook.files.keyFile, privateKey],
    ] as const) {
      await writeFile(`${file}.new`, text);
      await rename(`${file}.new`, file);
    }
  }

  async function logged(text: RegExp, times = 1): Promise<void> {
    const isLogged = () => (webhook.log().match(text) ?? []).length >= times;
    await until(() => `${text} to be logged\n${webhook.log()}`, isLogged, { seconds: 30, pauseMs: 50 });
  }

  async function expiry(): Promise<number> {
    const text = await (await fetch(`${webhook.plainUrl}/metrics`)).text();
    return Number(/^wasmount_certificate_expiry_timestamp_seconds\{kind="serving"\} (.+)$/m.exec(text)?.[1]) * 1000;
  }

  it("is exchanged for the one that the files hold now, and open connections stay", async () => {
    const before = agentOf(webhook.ca);
    const first = await ask(before);
    const ends = await expiry();
    await replace(await issueServerCertificate(webhook.authority, NAMES, 3, new Date()));
    await logged(/serving another certificate/);
    const { serial } = await ask(agentOf(webhook.ca));
    assert.notEqual(serial, first.serial);
    assert.deepEqual(await ask(before), { serial: first.serial, reused: true });
    assert.ok((await expiry()) < ends - 3 * DAY);
  });

  it("may come from another authority", async () => {
    const authority = await createAuthority("another CA", 7, new Date());
    await replace(await issueServerCertificate(authority, NAMES, 7, new Date()));
    await logged(/serving another certificate/);
    await ask(agentOf(webhook.ca + authority.certificate));
    await assert.rejects(ask(agentOf(webhook.ca)), /certificate/);
  });

  it("stays what it was while the files hold none that serves, which is said once", async () => {
    const first = await ask(agentOf(webhook.ca));
    const [other, ended] = await Promise.all([
      issueServerCertificate(webhook.authority, NAMES, 7, new Date()),
      issueServerCertificate(webhook.authority, NAMES, 7, new Date(Date.now() - 30 * DAY)),
    ]);
    await writeFile(webhook.files.certFile, other.certificate);
    await logged(/can't use the certificate in the files.*|are no certificate with its key/);
    await replace(ended);
    await logged(/ended \d{4}-/);
    await rm(webhook.files.certFile);
    await logged(/can't read tls\.certFile/);
    assert.equal((await ask(agentOf(webhook.ca))).serial, first.serial);
    assert.equal(webhook.log().match(/can't use the certificate in the files/g)?.length, 3);
    await replace(other);
    await logged(/serving another certificate/);
    assert.notEqual((await ask(agentOf(webhook.ca))).serial, first.serial);
  });
});
