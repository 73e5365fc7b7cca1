import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { type AddressInfo, createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runFetcher } from "../../src/fetcher/run.ts";
import type { Plan } from "../../src/plan/plan.ts";
import { planToEnvironment } from "../../src/plan/transport.ts";
import { samplePlan } from "../plan/sample.ts";

describe("runFetcher", () => {
  let root: string;
  let server: Server;
  let connections: number;

  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), "wasmount-fetch-"));
    connections = 0;
    server = createServer(socket => {
      connections += 1;
      socket.destroy();
    });
    await new Promise<void>(resolve => server.listen(0, "127.0.0.1", resolve));
  });
  afterEach(async () => {
    await new Promise(resolve => server.close(resolve));
    await rm(root, { recursive: true });
  });

  async function run(changes: Partial<Plan>): Promise<string> {
    const [filter] = samplePlan().filters;
    assert.ok(filter);
    const { port } = server.address() as AddressInfo;
    const filters = [{ ...filter, repository: `127.0.0.1:${port}/team/filter`, onFailure: "block" as const }];
    // Time for one try: what counts is whether there is one.
    const limits = { ...samplePlan().limits, deadlineMs: 1000 };
    const plan = { ...samplePlan(), root, filters, limits, bootstrap: null, pullSecrets: null, ...changes };
    const { variables } = planToEnvironment(plan);
    const environment = Object.fromEntries(variables.map(({ name, value }) => [name, value]));
    const lines: string[] = [];
    const log = (line: string) => void lines.push(line);
    const done = await runFetcher({ environment, userAgent: "test", log, stop: new AbortController().signal });
    assert.equal(done.exitCode, 3);
    return done.line;
  }

  it("goes to no private address that the operator did not name", async () => {
    assert.match(await run({ registries: [] }), /is or resolves to a private address/);
    assert.equal(connections, 0);
  });

  it("goes there where the plan names it, or allows it", async () => {
    const { port } = server.address() as AddressInfo;
    await run({ registries: [{ host: `127.0.0.1:${port}`, plainHttp: true }] });
    assert.ok(connections > 0);
    connections = 0;
    await run({ network: { privateAddresses: "Allow", proxy: null } });
    assert.ok(connections > 0);
  });

  it("goes through the plan's proxy", async () => {
    const { port } = server.address() as AddressInfo;
    const [filter] = samplePlan().filters;
    assert.ok(filter);
    const filters = [{ ...filter, repository: "registry.invalid/team/filter", onFailure: "block" as const }];
    const proxy = { http: null, https: `http://127.0.0.1:${port}`, no: "" };
    assert.match(await run({ filters, network: { privateAddresses: "Deny", proxy } }), /the proxy 127\.0\.0\.1/);
    assert.ok(connections > 0);
  });
});
