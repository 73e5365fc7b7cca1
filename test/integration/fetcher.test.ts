import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parse } from "yaml";
import { RegistryClient } from "../../src/oci/client.ts";
import { type ModuleImageOptions, moduleImage } from "../../src/oci/module-image.ts";
import { pushModule } from "../../src/oci/push-module.ts";
import { parseReference } from "../../src/oci/reference.ts";
import type { Plan, PlanFilter } from "../../src/plan/plan.ts";
import { planToEnvironment } from "../../src/plan/transport.ts";
import { noopModule } from "../../src/wasm/noop-module.ts";
import { exampleManifest } from "../environment/example.ts";
import { type Registry, startRegistry } from "../environment/registry/registry.ts";
import { until } from "../environment/until.ts";
import { MAIN } from "../environment/webhook-process.ts";
import { samplePlan } from "../plan/sample.ts";

/** The smallest module that Envoy loads: memory, malloc and the ABI's marker. */
const MODULE = Buffer.from(
  "AGFzbQEAAAABCQJgAABgAX8BfwMDAgABBQMBAAEHLQMGbWVtb3J5AgAXcHJveHlfYWJpX3ZlcnNpb25fMF8yXzEAAAZtYWxsb2MAAQoJAgIACwQAQQAL",
  "base64",
);

interface Run {
  readonly exitCode: number;
  readonly log: string;
  readonly lastLine: string;
}

describe("fetcher", () => {
  let folder: string;
  let root: string;
  let registry: Registry;
  let closed: boolean;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "wasmount-fetch-"));
    root = join(folder, "wasmount");
    registry = await startRegistry();
    closed = false;
  });

  afterEach(async () => {
    if (!closed) await registry.close();
    await unlock(folder);
    await rm(folder, { recursive: true });
  });

  async function push(
    options: Partial<ModuleImageOptions> = {},
    repository = "filters/sample",
  ): Promise<PlanFilter & { layer: string }> {
    const client = new RegistryClient({ registries: [{ host: registry.address, plainHttp: true }] });
    const image = await moduleImage({ module: MODULE, name: "sample", layout: "cncf", ...options });
    const { digest } = await pushModule(client, parseReference(`${registry.address}/${repository}:1`), image).finally(
      () => client.close(),
    );
    const [filter] = samplePlan({ repository: `${registry.address}/${repository}`, digest }).filters as [PlanFilter];
    return { ...filter, layer: image.blobs.at(-1)?.digest ?? "" };
  }

  function plan(filters: readonly PlanFilter[], changes: Partial<Plan> = {}): Plan {
    return { ...samplePlan(), root, filters, registries: [{ host: registry.address, plainHttp: true }], ...changes };
  }

  function environment(wanted: Plan): Record<string, string> {
    return Object.fromEntries(planToEnvironment(wanted).variables.map(({ name, value }) => [name, value]));
  }

  async function run(wanted: Plan | null): Promise<Run> {
    const env = { PATH: process.env["PATH"] ?? "", ...(wanted && environment(wanted)) };
    const child = spawn(process.execPath, [MAIN, "fetch"], { env, stdio: ["ignore", "pipe", "pipe"] });
    let log = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", text => {
        log += text;
      });
    }
    const [exitCode] = (await once(child, "close")) as [number];
    return { exitCode, log, lastLine: log.trimEnd().split("\n").at(-1) ?? "" };
  }

  const files = (name: string) => readdir(join(root, name)).catch(() => []);

  it("lays out module and filter file, read-only and under their final names", async () => {
    const filter = await push();
    const { exitCode, log } = await run(plan([filter]));
    assert.equal(exitCode, 0, log);
    const sha256 = createHash("sha256").update(MODULE).digest("hex");
    assert.deepEqual(await files("modules"), [`${sha256}.wasm`]);
    assert.deepEqual(await files("filters"), ["in-last-01.yaml"]);
    const module = join(root, "modules", `${sha256}.wasm`);
    assert.deepEqual(await readFile(module), MODULE);
    assert.equal((await stat(module)).mode & 0o777, 0o444);
    const { resources } = parse(await readFile(join(root, "filters/in-last-01.yaml"), "utf8"));
    assert.equal(resources[0].name, "wasmount.in-last-01");
    assert.equal(resources[0].typed_config.config.vm_config.code.local.filename, module);
  });

  for (const layout of ["cncf", "solo-oci", "compat"] as const) {
    it(`takes the root id from a ${layout} image unless the plan names one`, async () => {
      const filter = await push({ layout, rootIds: ["from_image", "second"] });
      const named = { ...filter, slot: "in-last-02", name: "named", rootId: "from_plan" };
      const { exitCode, log } = await run(plan([filter, named]));
      assert.equal(exitCode, 0, log);
      const rootId = async (slot: string) =>
        parse(await readFile(join(root, `filters/${slot}.yaml`), "utf8")).resources[0].typed_config.config.root_id;
      assert.equal(await rootId("in-last-01"), "from_image");
      assert.equal(await rootId("in-last-02"), "from_plan");
    });

    it(`runs again without a registry, from what it kept of a ${layout} image`, async () => {
      const wanted = plan([await push({ layout })]);
      assert.equal((await run(wanted)).exitCode, 0);
      const [module] = await files("modules");
      const before = await stat(join(root, "modules", module ?? ""));
      await registry.close();
      closed = true;
      const { exitCode, log } = await run(wanted);
      assert.equal(exitCode, 0, log);
      assert.match(log, /headers: found on the volume/);
      assert.equal(
        (await stat(join(root, "modules", module ?? ""))).ino,
        before.ino,
        "the file that Envoy has open stays",
      );
    });
  }

  it("does not trust what lies on the volume: a changed module is fetched again", async () => {
    const wanted = plan([await push()]);
    assert.equal((await run(wanted)).exitCode, 0);
    const [name = ""] = await files("modules");
    await chmod(join(root, "modules", name), 0o644);
    await writeFile(join(root, "modules", name), "evil");
    const { exitCode, log } = await run(wanted);
    assert.equal(exitCode, 0, log);
    assert.match(log, /headers: fetched/);
    assert.deepEqual(await readFile(join(root, "modules", name)), MODULE);
  });

  it("fetches a module that two filters use once", async () => {
    const one = await push();
    const other = await push({ layout: "compat" }, "filters/other");
    const { exitCode, log } = await run(
      plan([
        one,
        { ...one, name: "again", slot: "in-last-02" },
        { ...other, name: "other", slot: "in-first-01", phase: "first" },
      ]),
    );
    assert.equal(exitCode, 0, log);
    assert.deepEqual((await files("filters")).sort(), ["in-first-01.yaml", "in-last-01.yaml", "in-last-02.yaml"]);
    const downloads = registry.requests.filter(request => request === `GET /v2/filters/sample/blobs/${one.layer}`);
    assert.equal(downloads.length, 1);
  });

  describe("refuses", () => {
    async function refused(wanted: Plan | null, exitCode: number, line: RegExp): Promise<void> {
      const result = await run(wanted);
      assert.equal(result.exitCode, exitCode, result.log);
      assert.match(result.lastLine, line);
      assert.deepEqual(await files("modules"), [], "nothing under a final name, nothing unfinished");
      assert.deepEqual(await files("filters"), []);
    }

    it("an environment without a plan", () => refused(null, 2, /^wasmount-fetch: Missing: no plan/));

    it("a module whose bytes are not those of its digest", async () => {
      const filter = await push();
      registry.corrupt(filter.layer, bytes => Buffer.concat([bytes.subarray(0, -1), Buffer.from([0])]));
      await refused(plan([filter]), 4, /^wasmount-fetch: DigestMismatch: .*was asked for/);
    });

    it("a module that is longer than its manifest says", async () => {
      const filter = await push();
      registry.corrupt(filter.layer, bytes => Buffer.concat([bytes, Buffer.from([0])]));
      await refused(plan([filter]), 4, /^wasmount-fetch: SizeMismatch/);
    });

    it("a manifest whose bytes are not those of its digest", async () => {
      const filter = await push();
      registry.corrupt(filter.digest, bytes => Buffer.concat([bytes, Buffer.from(" ")]));
      await refused(plan([filter]), 4, /^wasmount-fetch: (DigestMismatch|SizeMismatch|BadManifest)/);
    });

    it("a module that is larger than allowed", async () => {
      const filter = await push();
      const limits = { ...samplePlan().limits, moduleBytes: MODULE.length - 1 };
      await refused(plan([filter], { limits }), 4, /^wasmount-fetch: TooLarge/);
    });

    it("a module that its Envoy can't load, saying why", async () => {
      const marker = Buffer.from("proxy_abi_version_0_2_1");
      const module = Buffer.from(MODULE);
      module.write("proxy_abi_version_9_9_9", module.indexOf(marker));
      await refused(
        plan([await push({ module })]),
        4,
        /^wasmount-fetch: BadModule: Envoy 1\.40 can't load the module of filter headers, .*ABI/,
      );
    });

    it("an image that does not exist", async () => {
      const filter = await push();
      await refused(plan([{ ...filter, digest: `sha256:${"0".repeat(64)}` }]), 3, /^wasmount-fetch: NotFound/);
    });

    it("a registry that nobody answers for", async () => {
      const filter = await push();
      await registry.close();
      closed = true;
      const limits = { ...samplePlan().limits, deadlineMs: 1_000 };
      await refused(plan([filter], { limits }), 3, /^wasmount-fetch: (Unreachable|Timeout)/);
    });

    it("all filters where one is refused", async () => {
      const good = await push();
      const bad = { ...(await push({ layout: "solo-oci" }, "filters/bad")), name: "bad", slot: "in-last-02" };
      registry.corrupt(bad.digest, bytes => Buffer.concat([bytes, Buffer.from(" ")]));
      const { exitCode } = await run(plan([good, bad]));
      assert.equal(exitCode, 4);
      assert.deepEqual(await files("filters"), []);
    });
  });

  describe("a filter that may be left out", () => {
    const noop = createHash("sha256").update(noopModule).digest("hex");
    const open = (filter: PlanFilter): PlanFilter => ({ ...filter, onFailure: "open" });

    it("is taken by a module that does nothing where its own can't be had, loudly", async () => {
      const filter = open(await push());
      registry.corrupt(filter.digest, bytes => Buffer.concat([bytes, Buffer.from(" ")]));
      const { exitCode, log, lastLine } = await run(plan([filter]));
      assert.equal(exitCode, 0, log);
      assert.match(log, /^wasmount-fetch: FILTER headers DOES NOTHING, on-failure is open: /m);
      assert.match(lastLine, /^wasmount-fetch: Open: does nothing: headers \(/);
      assert.deepEqual(await files("modules"), [`${noop}.wasm`]);
      const { resources } = parse(await readFile(join(root, "filters/in-last-01.yaml"), "utf8"));
      assert.equal(
        resources[0].typed_config.config.vm_config.code.local.filename,
        join(root, "modules", `${noop}.wasm`),
      );
    });

    it("is its own again in the next run that can have it", async () => {
      const filter = open(await push());
      registry.corrupt(filter.digest, bytes => Buffer.concat([bytes, Buffer.from(" ")]));
      await run(plan([filter]));
      const again = await push();
      assert.equal(again.digest, filter.digest);
      registry.corrupt(filter.digest, bytes => bytes);
      const { exitCode, log } = await run(plan([filter]));
      assert.equal(exitCode, 0);
      assert.match(log, /^wasmount-fetch: done: /m);
      assert.doesNotMatch(log, /Open/);
      const { resources } = parse(await readFile(join(root, "filters/in-last-01.yaml"), "utf8"));
      const sha256 = createHash("sha256").update(MODULE).digest("hex");
      assert.ok(resources[0].typed_config.config.vm_config.code.local.filename.includes(sha256));
    });

    it("says nothing of failures that did not happen", async () => {
      const { exitCode, log } = await run(plan([open(await push())]));
      assert.equal(exitCode, 0);
      assert.doesNotMatch(log, /NOTHING|Open/);
    });

    it("takes nobody with it who must not be left out", async () => {
      const optional = open(await push());
      const needed = { ...(await push({ layout: "solo-oci" }, "filters/bad")), name: "bad", slot: "in-last-02" };
      registry.corrupt(needed.digest, bytes => Buffer.concat([bytes, Buffer.from(" ")]));
      assert.equal((await run(plan([optional, needed]))).exitCode, 4);
    });

    it("takes nobody with it who shares its module and must not be left out", async () => {
      const optional = open(await push());
      const shared = { ...optional, onFailure: "block", name: "block", slot: "in-last-02" } as const;
      registry.corrupt(optional.digest, bytes => Buffer.concat([bytes, Buffer.from(" ")]));
      assert.equal((await run(plan([optional, shared]))).exitCode, 4);
    });
  });

  describe("the author's configuration", () => {
    const source = () => join(folder, "source/envoy.yaml");
    const bootstrap = (changes = {}) => ({
      source: source(),
      target: join(root, "bootstrap/etc/envoy/envoy.yaml"),
      copy: null,
      ...changes,
    });

    beforeEach(() => mkdir(join(folder, "source")));

    it("is edited into a copy", async () => {
      const { data } = parse(await exampleManifest("configmap"));
      await writeFile(source(), data["envoy.yaml"]);
      const { exitCode, log } = await run(plan([await push()], { bootstrap: bootstrap() }));
      assert.equal(exitCode, 0, log);
      const edited = await readFile(join(root, "bootstrap/etc/envoy/envoy.yaml"), "utf8");
      assert.match(edited, /wasmount\.in-last-01/);
      assert.match(edited, /# must stay the last/);
      assert.equal(await readFile(source(), "utf8"), data["envoy.yaml"], "the source stays");
    });

    it("is copied with the files beside it where the mount is swapped", async () => {
      const { data } = parse(await exampleManifest("configmap"));
      await mkdir(join(folder, "source/..data"));
      await writeFile(join(folder, "source/..data/envoy.yaml"), data["envoy.yaml"]);
      await writeFile(join(folder, "source/..data/sds.yaml"), "secrets");
      for (const name of ["envoy.yaml", "sds.yaml"]) await symlink(`..data/${name}`, join(folder, "source", name));
      const copy = { from: join(folder, "source"), to: join(root, "bootstrap/etc/envoy") };
      const { exitCode, log } = await run(plan([await push()], { bootstrap: bootstrap({ copy }) }));
      assert.equal(exitCode, 0, log);
      assert.deepEqual((await readdir(join(root, "bootstrap/etc/envoy"))).sort(), ["envoy.yaml", "sds.yaml"]);
      assert.equal(await readFile(join(root, "bootstrap/etc/envoy/sds.yaml"), "utf8"), "secrets");
    });

    it("is refused where the swapped mount holds another one, which the proxy may read instead", async () => {
      const { data } = parse(await exampleManifest("configmap"));
      await writeFile(source(), data["envoy.yaml"]);
      await writeFile(join(folder, "source/production.yaml"), data["envoy.yaml"]);
      const copy = { from: join(folder, "source"), to: join(root, "bootstrap/etc/envoy") };
      const { exitCode, lastLine } = await run(plan([await push()], { bootstrap: bootstrap({ copy }) }));
      assert.equal(exitCode, 5);
      assert.match(lastLine, /NoBootstrap: .*production\.yaml is an Envoy configuration too/);
    });

    it("is not copied through a link that leads nowhere", async () => {
      const { data } = parse(await exampleManifest("configmap"));
      await writeFile(source(), data["envoy.yaml"]);
      await symlink("gone", join(folder, "source/dangling"));
      const copy = { from: join(folder, "source"), to: join(root, "bootstrap/etc/envoy") };
      const { exitCode, lastLine } = await run(plan([await push()], { bootstrap: bootstrap({ copy }) }));
      assert.equal(exitCode, 5);
      assert.match(lastLine, /NoBootstrap: can't copy the mount/);
    });

    it("is not copied through a link that leaves the mount", async () => {
      const { data } = parse(await exampleManifest("configmap"));
      await writeFile(source(), data["envoy.yaml"]);
      await symlink("/etc/passwd", join(folder, "source/passwd"));
      const copy = { from: join(folder, "source"), to: join(root, "bootstrap/etc/envoy") };
      const { exitCode, lastLine } = await run(plan([await push()], { bootstrap: bootstrap({ copy }) }));
      assert.equal(exitCode, 5);
      assert.match(lastLine, /^wasmount-fetch: NoBootstrap: .*passwd is not a plain file of the mount/);
    });

    const broken: [title: string, text: string | null, line: RegExp][] = [
      ["missing", null, /NoBootstrap: can't read .*envoy\.yaml/],
      ["without an HTTP connection manager", "static_resources: {listeners: []}", /NoHttpConnectionManager/],
      ["not YAML", "a: [", /NotYaml/],
      ["with listeners from elsewhere", "dynamic_resources: {lds_config: {ads: {}}}", /DynamicListeners/],
    ];
    for (const [title, text, line] of broken) {
      it(`is refused where it is ${title}`, async () => {
        if (text !== null) await writeFile(source(), text);
        const { exitCode, lastLine } = await run(plan([await push()], { bootstrap: bootstrap() }));
        assert.equal(exitCode, 5, lastLine);
        assert.match(lastLine, line);
        assert.deepEqual(await files("bootstrap"), []);
      });
    }
  });

  it("fetches several modules at the same time: neither comes before both were asked for", async () => {
    const filters = [await push(), { ...(await push({ layout: "compat" }, "filters/other")), slot: "in-last-02" }];
    const asked = new Set<string>();
    const both = Promise.withResolvers<void>();
    const gate = createServer(async (request, response) => {
      const upstream = await fetch(`http://${registry.address}${request.url}`, { method: request.method ?? "GET" });
      const body = Buffer.from(await upstream.arrayBuffer());
      const layer = filters.find(filter => request.url?.endsWith(filter.layer));
      if (layer) asked.add(layer.repository);
      if (asked.size === filters.length) both.resolve();
      if (layer) await both.promise;
      const type = upstream.headers.get("content-type") ?? "";
      response.writeHead(upstream.status, { "content-type": type, "content-length": body.length }).end(body);
    });
    gate.listen(0, "127.0.0.1");
    await once(gate, "listening");
    try {
      const host = `127.0.0.1:${(gate.address() as AddressInfo).port}`;
      const through = filters.map((filter, index) => ({
        ...filter,
        name: `filter-${index}`,
        repository: filter.repository.replace(registry.address, host),
      }));
      // A fetcher that waits for the first module ends here, at its deadline.
      const limits = { ...samplePlan().limits, deadlineMs: 30_000 };
      const { exitCode, log } = await run(plan(through, { registries: [{ host, plainHttp: true }], limits }));
      assert.equal(exitCode, 0, log);
      assert.equal(asked.size, 2);
    } finally {
      gate.closeAllConnections();
      gate.close();
    }
  });

  /** A registry, behind a gate that lets half of every blob through and then holds until it is opened. */
  async function gated(): Promise<{ host: string; open: () => void; close: () => void }> {
    let open = false;
    const gate = createServer(async (request, response) => {
      const upstream = await fetch(`http://${registry.address}${request.url}`, { method: request.method ?? "GET" });
      const body = Buffer.from(await upstream.arrayBuffer());
      const type = upstream.headers.get("content-type") ?? "";
      response.writeHead(upstream.status, { "content-type": type, "content-length": body.length });
      if (open || !request.url?.includes("/blobs/")) response.end(body);
      else response.write(body.subarray(0, body.length / 2));
    });
    gate.listen(0, "127.0.0.1");
    await once(gate, "listening");
    return {
      host: `127.0.0.1:${(gate.address() as AddressInfo).port}`,
      open: () => {
        open = true;
      },
      close: () => {
        gate.closeAllConnections();
        gate.close();
      },
    };
  }

  async function halfway(wanted: Plan) {
    const env = { PATH: process.env["PATH"] ?? "", ...environment(wanted) };
    const child = spawn(process.execPath, [MAIN, "fetch"], { env, stdio: ["ignore", "ignore", "pipe"] });
    const isHalfway = async () => (await files("modules")).some(name => name.startsWith(".unfinished"));
    await until("a module that is not whole", isHalfway, { seconds: 50, pauseMs: 20, bears: () => false });
    return child;
  }

  it("leaves nothing half-written when it is killed, and recovers in the next run", async () => {
    const filter = await push();
    const gate = await gated();
    try {
      const registries = [{ host: gate.host, plainHttp: true }];
      const wanted = plan([{ ...filter, repository: `${gate.host}/filters/sample` }], { registries });
      const child = await halfway(wanted);
      child.kill("SIGKILL");
      await once(child, "exit");
      assert.deepEqual(
        (await files("modules")).filter(name => name.endsWith(".wasm")),
        [],
      );
      gate.open();
      const { exitCode, log } = await run(wanted);
      assert.equal(exitCode, 0, log);
      assert.deepEqual(await files("modules"), [`${createHash("sha256").update(MODULE).digest("hex")}.wasm`]);
    } finally {
      gate.close();
    }
  });

  it("ends at once when the pod is told to end, and leaves nothing unfinished", async () => {
    const filter = await push();
    const gate = await gated();
    try {
      const registries = [{ host: gate.host, plainHttp: true }];
      const child = await halfway(plan([{ ...filter, repository: `${gate.host}/filters/sample` }], { registries }));
      let complaint = "";
      child.stderr.setEncoding("utf8").on("data", text => {
        complaint += text;
      });
      child.kill("SIGTERM");
      const [code] = (await once(child, "close")) as [number];
      assert.equal(code, 143);
      assert.equal(complaint, "wasmount-fetch: Cancelled: the pod was told to end\n");
      assert.deepEqual(await files("modules"), []);
    } finally {
      gate.close();
    }
  });
});

async function unlock(folder: string): Promise<void> {
  await chmod(folder, 0o755);
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    if (entry.isDirectory()) await unlock(join(folder, entry.name));
  }
}
