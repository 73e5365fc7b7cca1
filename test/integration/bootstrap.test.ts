import assert from "node:assert/strict";
import { copyFile, mkdir, mkdtemp, readFile, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { extname, join } from "node:path";
import { editBootstrap } from "../../src/envoy/bootstrap.ts";
import { type FilterFile, filterFile, filterVersion, modulePath } from "../../src/envoy/filter-file.ts";
import { messageOf } from "../../src/error.ts";
import { allowedCapabilities } from "../../src/wasm/capabilities.ts";
import { noopModule } from "../../src/wasm/noop-module.ts";
import { envoyBinary } from "../environment/envoy.ts";
import { freePorts } from "../environment/ports.ts";
import { unavailable } from "../environment/requirement.ts";
import { versions } from "../environment/versions.ts";
import { type EnvoyProcess, eventually, get, startEnvoy, upgrade, validate } from "../envoy/envoy-process.ts";
import { bootstrapFixtures, fixtureEdit } from "../envoy/fixtures.ts";
import { buildEchoModule, buildTrapModule, NO_OP_MODULE, sha256 } from "../envoy/modules.ts";
import { siblings } from "../envoy/siblings.ts";

const ENVOY_VERSION = versions.envoy.replace(/\.\d+$/, "");

/** Fixtures that no Envoy of this build takes, edited or not, and what it says. */
const REFUSED_ANYWAY: Readonly<Record<string, RegExp>> = {
  "api-listener.yaml": /missing the API listener extension/,
  "router-not-last.yaml": /must be the last filter/,
  "router-by-name.yaml": /router\.v2\.Router|could not find/i,
  "no-router.yaml": /Didn't find a registered implementation for 'one'/,
  "upgrades-no-router.yaml": /Didn't find a registered implementation for 'one'/,
};

describe("edited bootstraps and filter files, in the real Envoy", function () {
  this.timeout(60_000);
  let root: string;

  before(async function () {
    this.timeout(300_000);
    await envoyBinary(console.log).catch(error => unavailable(this, messageOf(error)));
    root = await mkdtemp(join(tmpdir(), "bootstrap-test-"));
    await mkdir(join(root, "filters"));
    await mkdir(join(root, "modules"));
    await writeFile(modulePath(root, sha256(NO_OP_MODULE)), NO_OP_MODULE);
    for (const { slot } of fixtureEdit("x.yaml").entries) await put(filter(slot));
  });

  after(() => rm(root, { recursive: true, force: true }));

  function filter(slot: string, changes: Partial<FilterFile> = {}): FilterFile {
    const moduleSha256 = sha256(NO_OP_MODULE);
    return {
      slot,
      name: slot,
      rootId: "",
      config: null,
      moduleSha256,
      root,
      envoyVersion: ENVOY_VERSION,
      runtimeFailure: "closed",
      allowedCapabilities: null,
      ...changes,
    };
  }

  /** As the fetcher does: a new file, renamed into place. */
  async function put(file: FilterFile): Promise<void> {
    const staging = join(root, `${file.slot}.tmp`);
    await writeFile(staging, filterFile(file));
    await rename(staging, join(root, "filters", `${file.slot}.yaml`));
  }

  describe("Envoy accepts what the editor makes of", () => {
    for (const { name, input } of bootstrapFixtures().filter(fixture => !fixture.name.startsWith("error-"))) {
      it(name, async () => {
        const path = join(root, `bootstrap${extname(name)}`);
        await writeFile(path, editBootstrap(input, fixtureEdit(name, root)).text);
        const verdict = await validate(path);
        const refused = REFUSED_ANYWAY[name];
        if (refused) assert.match(verdict ?? "accepted", refused);
        else assert.equal(verdict, null);
      });
    }
  });

  describe("Envoy and the reader of a bootstrap's siblings, about", () => {
    for (const { title, name, content, kind, starts } of siblings) {
      it(title, async () => {
        const path = join(root, name);
        await writeFile(path, content);
        const verdict = await validate(path);
        await rm(path);
        assert.equal(verdict === null, starts, verdict ?? "");
        if (title !== "JSON without listeners") assert.ok(kind !== "other" || !starts);
      });
    }
  });

  describe("Envoy itself finds each slot once in every chain of", () => {
    const upgrades = {
      "upgrades.yaml": 2,
      "upgrades-shared.yaml": 1,
      "upgrades-lone.yaml": 1,
      "upgrades-typed-struct.yaml": 1,
    };
    const plain = [
      "several.yaml",
      "shared-chains.yaml",
      "shared-manager.yaml",
      "shared-list.yaml",
      "typed-struct-xds.yaml",
      "explicit-keys.yaml",
      "camel-case.json",
      "stale-flow.yaml",
    ];
    for (const [name, more] of [...plain.map(plainName => [plainName, 0] as const), ...Object.entries(upgrades)]) {
      it(name, async () => {
        const fixture = bootstrapFixtures().find(candidate => candidate.name === name);
        assert.ok(fixture);
        const [admin = 0, ...ports] = await freePorts(5);
        const free = fixture.input.replace(/\b1000([0-3])\b/g, (_, digit: string) => String(ports[Number(digit)]));
        const path = join(root, `live${extname(name)}`);
        const edited = editBootstrap(free, fixtureEdit(name, root));
        await writeFile(path, edited.text);
        const envoy = await startEnvoy(path, admin, ["--config-yaml", adminAt(admin)]);
        try {
          const chains = httpFilterNames(JSON.parse(await envoy.admin("/config_dump?resource=static_listeners")));
          assert.equal(chains.length, edited.managers.length + more);
          for (const names of chains) {
            assert.deepEqual(names.slice(0, 2), ["wasmount.in-first-01", "wasmount.in-first-02"]);
            assert.deepEqual(names.slice(-3, -1), ["wasmount.in-last-01", "wasmount.in-last-02"]);
            assert.equal(names.filter(filterName => filterName.startsWith("wasmount.")).length, 4);
          }
        } finally {
          await envoy.close();
        }
      });
    }
  });

  describe("with one filter", () => {
    let envoy: EnvoyProcess;
    let url: string;
    let echo: string;
    let trap: string;

    before(async function () {
      this.timeout(120_000);
      const built = await buildEchoModule(root);
      echo = sha256(await readFile(built));
      await copyFile(built, modulePath(root, echo));
      const trapping = await buildTrapModule(root);
      trap = sha256(await readFile(trapping));
      await copyFile(trapping, modulePath(root, trap));
      await put(filter("in-last-01"));
      const [port, admin] = await freePorts(2);
      assert.ok(port && admin);
      url = `http://127.0.0.1:${port}/`;
      const config = join(root, "envoy.yaml");
      const edit = { ...fixtureEdit(config, root), entries: [{ slot: "in-last-01", phase: "last" } as const] };
      await writeFile(config, editBootstrap(bootstrap(port, admin), edit).text);
      envoy = await startEnvoy(config, admin);
    });

    after(() => envoy?.close());

    const served = async (): Promise<string> => {
      const stats = await envoy.admin("/stats?filter=version_text&type=TextReadouts");
      return /http_filter\.wasmount\.in-last-01\.version_text: "(.*)"/.exec(stats)?.[1] ?? stats;
    };

    it("serves requests through it and reports its version", async () => {
      assert.deepEqual(await get(url), { status: 200, body: "served" });
      assert.equal(await served(), filterVersion(filter("in-last-01")));
    });

    it("keeps the good one when a later file names a missing module", async () => {
      const bad = filter("in-last-01", { moduleSha256: "0".repeat(64) });
      await put(bad);
      await eventually(async () =>
        /http_filter\.wasmount\.in-last-01\.config_fail: [1-9]/.test(await envoy.admin("/stats?filter=config_fail")),
      );
      assert.deepEqual(await get(url), { status: 200, body: "served" });
      assert.notEqual(await served(), filterVersion(bad));
    });

    // Source of the answers: what Envoy does with a request whose filter's VM has failed.
    for (const [runtimeFailure, status] of [
      ["closed", 503],
      ["open", 200],
      ["reload", 503],
    ] as const) {
      it(`answers ${status} where the module traps and is to fail ${runtimeFailure}`, async () => {
        const file = filter("in-last-01", { moduleSha256: trap, runtimeFailure, name: `trap-${runtimeFailure}` });
        await put(file);
        await eventually(async () => (await served()) === filterVersion(file));
        await get(url);
        assert.equal((await get(url)).status, status);
      });
    }

    it("lets requests pass through the module that stands in for one that can't be had", async () => {
      const digest = sha256(noopModule);
      await writeFile(modulePath(root, digest), noopModule);
      const file = filter("in-last-01", { moduleSha256: digest, name: "noop" });
      await put(file);
      await eventually(async () => (await served()) === filterVersion(file));
      assert.deepEqual(await get(url), { status: 200, body: "served" });
    });

    describe("whose host calls are restricted", () => {
      const answer = async (name: string, calls: readonly string[]) => {
        const allowed = allowedCapabilities(calls);
        const file = filter("in-last-01", { moduleSha256: echo, config: "heard", name, allowedCapabilities: allowed });
        await put(file);
        await eventually(async () => (await served()) === filterVersion(file));
        return get(url);
      };

      it("works where all that it calls are allowed: its callbacks need not be named", async () => {
        const calls = ["proxy_get_buffer_bytes", "proxy_send_local_response"];
        assert.deepEqual(await answer("enough", calls), { status: 200, body: "heard" });
      });

      it("gets nothing from a call that is not allowed", async () => {
        assert.deepEqual(await answer("deaf", ["proxy_send_local_response"]), { status: 200, body: "" });
      });
    });

    const texts: Readonly<Record<string, string>> = {
      "words that YAML takes for something else": "on",
      numbers: "0x1F",
      "JSON text": '{"a": ["\\" \\\\ \\/", null], "b": "c: d # e"}',
      "line breaks and tabs": "\n\n a\r\n\tb\r c\n",
      "control characters": Array.from({ length: 0x20 }, (_, code) => String.fromCharCode(code)).join(""),
      "characters that some take for line breaks": "\u007f\u0080\u0085\u009f\u00a0\u2028\u2029\ufeff\ufffe\uffff",
      "characters beyond the basic plane": "\u{1f600}\u{10ffff} e\u0301 \u202e",
      "YAML of our own names": '"}]}\n---\nresources: [*x] $(B) {{c}} %s',
      "64 KiB": "x y".repeat(22_000),
      "an empty text": "",
    };
    for (const [what, config] of Object.entries(texts)) {
      it(`hands over ${what} unchanged`, async () => {
        const file = filter("in-last-01", { moduleSha256: echo, config, name: "echo" });
        await put(file);
        await eventually(async () => (await served()) === filterVersion(file));
        assert.deepEqual(await get(url), { status: 200, body: config });
      });
    }
  });

  it("denies every request until a file names a module that loads", async () => {
    await put(filter("in-last-02", { moduleSha256: "1".repeat(64) }));
    const [port, admin] = await freePorts(2);
    assert.ok(port && admin);
    const config = join(root, "denied.yaml");
    const edit = { ...fixtureEdit(config, root), entries: [{ slot: "in-last-02", phase: "first" } as const] };
    const { text } = editBootstrap(bootstrap(port, admin), edit);
    await writeFile(config, text);
    const envoy = await startEnvoy(config, admin);
    try {
      assert.equal((await get(`http://127.0.0.1:${port}/`)).status, 403);
      await put(filter("in-last-02"));
      await eventually(async () => (await get(`http://127.0.0.1:${port}/`)).status === 200);
      const stats = await envoy.admin("/stats?filter=version_text&type=TextReadouts");
      assert.ok(stats.includes(filterVersion(filter("in-last-02"))), stats);
    } finally {
      await envoy.close();
    }
  });

  it("filters requests whose upgrade has a chain of its own", async () => {
    const built = await buildEchoModule(root);
    const echo = sha256(await readFile(built));
    await copyFile(built, modulePath(root, echo));
    await put(filter("in-last-03", { moduleSha256: "2".repeat(64) }));
    const [port, admin] = await freePorts(2);
    assert.ok(port && admin);
    const url = `http://127.0.0.1:${port}/`;
    const config = join(root, "upgrades.yaml");
    const edit = { ...fixtureEdit(config, root), entries: [{ slot: "in-last-03", phase: "last" } as const] };
    await writeFile(config, editBootstrap(bootstrap(port, admin) + UPGRADES, edit).text);
    const envoy = await startEnvoy(config, admin);
    try {
      assert.equal((await get(url)).status, 403);
      assert.equal((await upgrade(url)).status, 403);
      await put(filter("in-last-03", { moduleSha256: echo, config: "filtered" }));
      await eventually(async () => (await get(url)).status === 200);
      assert.deepEqual(await get(url), { status: 200, body: "filtered" });
      assert.deepEqual(await upgrade(url), { status: 200, body: "filtered" });
    } finally {
      await envoy.close();
    }
  });

  it("is not told by routes to leave our filters out, which Envoy would do where they name them", async () => {
    await put(filter("in-last-04", { moduleSha256: "3".repeat(64) }));
    const [port, admin] = await freePorts(2);
    assert.ok(port && admin);
    const config = join(root, "routes.yaml");
    const edit = { ...fixtureEdit(config, root), entries: [{ slot: "in-last-04", phase: "last" } as const] };
    const off = '{"@type": type.googleapis.com/envoy.config.route.v3.FilterConfig, disabled: true}';
    const permit = '{"@type": type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBACPerRoute}';
    const overrides = {
      wasm: `envoy.filters.http.wasm: ${off}`,
      rbac: `envoy.filters.http.rbac: ${off}`,
      permit: `envoy.filters.http.rbac: ${permit}`,
      placeholder: `placeholder: ${off}`,
    };
    const routes = Object.entries(overrides).map(
      ([path, override]) => `
              - match: {path: /${path}}
                direct_response: {status: 200}
                typed_per_filter_config: {${override}}`,
    );
    const text = bootstrap(port, admin).replace("routes:", `routes:${routes.join("")}`);
    const named = (original: string) => original.replace("placeholder:", "wasmount.in-last-04:");
    assert.throws(() => editBootstrap(named(text), edit), { code: "Unsupported" });
    await writeFile(config, named(editBootstrap(text, edit).text));
    const envoy = await startEnvoy(config, admin);
    try {
      const statusOf = async (path: string) => (await get(`http://127.0.0.1:${port}/${path}`)).status;
      for (const path of ["", "wasm", "rbac", "permit"]) assert.equal(await statusOf(path), 403, path);
      assert.equal(await statusOf("placeholder"), 200);
    } finally {
      await envoy.close();
    }
  });
});

/** To be appended to the manager of the bootstrap below. */
const UPGRADES = `          upgrade_configs:
          - upgrade_type: websocket
            filters:
            - name: envoy.filters.http.router
              typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}
`;

function bootstrap(port: number, admin: number): string {
  return `# direct answers
${adminAt(admin)}
static_resources:
  listeners:
  - name: ingress
    address: {socket_address: {address: 127.0.0.1, port_value: ${port}}}
    filter_chains:
    - filters:
      - name: http
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: ingress
          http_filters:
          - name: envoy.filters.http.router
            typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}
          route_config:
            virtual_hosts:
            - name: all
              domains: ["*"]
              routes:
              - match: {prefix: /}
                direct_response: {status: 200, body: {inline_string: served}}
`;
}

function adminAt(port: number): string {
  return `admin: {address: {socket_address: {address: 127.0.0.1, port_value: ${port}}}}`;
}

/** The names in every list of HTTP filters below a value, those of upgrades too. */
function httpFilterNames(value: unknown): string[][] {
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([key, member]) => {
    if (/^upgrade_?configs$/i.test(key)) {
      const own = [member].flat().map(({ filters = [] }) => filters);
      return own.filter(filters => filters.length > 0).map(namesOf);
    }
    return /^http_?filters$/i.test(key) && Array.isArray(member) ? [namesOf(member)] : httpFilterNames(member);
  });
}

function namesOf(filters: readonly { readonly name: unknown }[]): string[] {
  return filters.map(({ name }) => String(name));
}
