import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { readdir, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { runCommand, startCommand } from "../environment/command.ts";
import { type Registry, startRegistry } from "../environment/registry/registry.ts";
import { runInTerminal } from "../environment/terminal.ts";
import { GOOD_MODULE } from "../images/modules.ts";
import { frontOf } from "../oci/front.ts";
import { temporaryFolder } from "../store/temporary-folder.ts";

/** A good module with a custom section of a mebibyte, which nothing compresses. */
const SIZE = 1024 * 1024;
const MODULE = Buffer.concat([GOOD_MODULE, Buffer.from([0, 0x82, 0x80, 0x40, 1, 0x78]), randomBytes(SIZE)]);

describe("an image's transfer", function () {
  this.timeout(5 * 60_000);
  const path = temporaryFolder();
  let registry: Registry;
  let stalling: Server;
  let stalled: string;
  let env: NodeJS.ProcessEnv;

  before(async () => {
    registry = await startRegistry();
    const front = frontOf(registry, () => null);
    stalling = createServer(async (request, response) => {
      const whole = await fetch(`http://${registry.address}${request.url}`);
      const bytes = Buffer.from(await whole.arrayBuffer());
      // Half of the layer, and then nothing: whoever waits for the rest is at work.
      if (request.method === "GET" && bytes.length > SIZE) {
        response.writeHead(200, { "content-length": String(bytes.length) });
        response.write(bytes.subarray(0, bytes.length >> 1));
        stalling.emit("stalled");
      } else front(request, response, Buffer.alloc(0));
    });
    await new Promise<void>(resolve => stalling.listen(0, "127.0.0.1", resolve));
    stalled = `127.0.0.1:${(stalling.address() as AddressInfo).port}`;
  });

  after(async () => {
    stalling.closeAllConnections();
    stalling.close();
    await registry.close();
  });

  beforeEach(async () => {
    env = { ...process.env, WASMOUNT_STORE: path("store"), DOCKER_CONFIG: path("docker") };
    await writeFile(path("filter.wasm"), MODULE);
    const pushed = await runCommand(
      ["push", "filter.wasm", `${registry.address}/team/filter:1`, "--layout", "compat"],
      { cwd: path(), env },
    );
    assert.equal(pushed.code, 0, pushed.stderr);
  });

  for (const [signal, code] of [
    ["SIGINT", 130],
    ["SIGTERM", 143],
  ] as const) {
    it(`leaves nothing half-written on ${signal}`, async () => {
      for (const output of [["-o", "out.wasm"], []]) {
        const child = startCommand(["pull", `${stalled}/team/filter:1`, ...output], { cwd: path(), env });
        let stderr = "";
        child.stderr.setEncoding("utf8").on("data", text => {
          stderr += text;
        });
        await once(stalling, "stalled");
        let more = 0;
        const counting = () => {
          more += 1;
        };
        stalling.on("stalled", counting);
        child.kill(signal);
        const [exit] = (await once(child, "close")) as [number];
        stalling.off("stalled", counting);
        assert.equal(exit, code, stderr);
        // It ended because it was told to, not because it gave the silent registry up: it would have asked again.
        assert.equal(more, 0);
        assert.match(stderr, /^wasmount pull: interrupted; nothing was left half-written\n$/);
      }
      assert.deepEqual((await readdir(path())).sort(), ["filter.wasm", "store"]);
      assert.deepEqual((await readdir(path("store"))).sort(), ["blobs", "index.json", "index.json.lock", "oci-layout"]);
      assert.deepEqual(await readdir(path("store/blobs/sha256")), []);
    });
  }

  it("leaves nothing with a name when it is killed, and the next one goes through", async () => {
    const child = startCommand(["pull", `${stalled}/team/filter:1`], { cwd: path(), env });
    child.stderr.resume();
    await once(stalling, "stalled");
    child.kill("SIGKILL");
    await once(child, "close");
    assert.deepEqual(await readdir(path("store/blobs/sha256")), []);
    const again = await runCommand(["pull", `${registry.address}/team/filter:1`], { cwd: path(), env });
    assert.equal(again.code, 0, again.stderr);
    const listed = await runCommand(["list", "--json"], { cwd: path(), env });
    assert.equal(JSON.parse(listed.stdout).images.length, 1);
  });

  it("draws its progress in a terminal, unless it is told not to", async () => {
    const pull = (...more: readonly string[]) =>
      runInTerminal(
        ["pull", `${registry.address}/team/filter:1`, "-f", "-o", "out.wasm", ...more],
        {},
        { cwd: path(), env },
      );
    assert.match((await pull()).shown, /pulling \[[#-]{24}\] .* of /);
    for (const flag of ["--json", "--quiet"]) assert.doesNotMatch((await pull(flag)).shown, /\[[#-]{24}\]/);
    const copied = ["copy", `${registry.address}/team/filter:1`, "oci:bundle:1"];
    assert.match((await runInTerminal(copied, {}, { cwd: path(), env })).shown, /copying \[[#-]{24}\] .* of /);
    const piped = await runCommand(["pull", `${registry.address}/team/filter:1`], { cwd: path(), env });
    assert.equal(piped.stderr, "");
  });
});
