import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import { buffer } from "node:stream/consumers";
import { createAuthority, issueServerCertificate } from "../../src/certs/authority.ts";
import { runCommand } from "../environment/command.ts";
import { type Registry, startRegistry } from "../environment/registry/registry.ts";
import { GOOD_MODULE } from "../images/modules.ts";
import { frontOf } from "../oci/front.ts";
import { temporaryFolder } from "../store/temporary-folder.ts";

describe("flags of registries", function () {
  // Many processes, one after the other.
  this.timeout(5 * 60_000);
  const path = temporaryFolder();
  let registry: Registry;
  let secure: Server;
  let address: string;
  let authority: string;

  before(async () => {
    registry = await startRegistry();
    const now = new Date();
    const credentials = await createAuthority("a registry's CA", 7, now);
    const { certificate, privateKey } = await issueServerCertificate(credentials, ["127.0.0.1"], 7, now);
    authority = credentials.certificate;
    const front = frontOf(registry, () => null);
    secure = createServer({ cert: certificate, key: privateKey }, async (request, response) =>
      front(request, response, await buffer(request)),
    );
    await new Promise<void>(resolve => secure.listen(0, "127.0.0.1", resolve));
    address = `127.0.0.1:${(secure.address() as AddressInfo).port}`;
  });

  after(async () => {
    secure.closeAllConnections();
    secure.close();
    await registry.close();
  });

  beforeEach(async () => {
    await writeFile(path("filter.wasm"), GOOD_MODULE);
    await writeFile(path("ca.pem"), authority);
    await writeFile(path("no.pem"), "nothing");
  });

  function push(...flags: readonly string[]) {
    const env = { ...process.env, DOCKER_CONFIG: path("docker") };
    return runCommand(["push", "filter.wasm", `${address}/team/filter:1`, ...flags], { cwd: path(), env });
  }

  it("speak TLS where a certificate is spoken of, and hold it to the authorities named", async () => {
    const { code, stderr } = await push("--ca-file", "ca.pem");
    assert.deepEqual([code, stderr], [0, ""]);
    assert.equal((await push("--insecure")).code, 0);
    const strict = await push("--no-plain-http");
    assert.equal(strict.code, 1);
    assert.match(strict.stderr, /no trusted TLS connection/);
  });

  it("are one for each side of a copy", async () => {
    assert.equal((await push("--ca-file", "ca.pem")).code, 0);
    const env = { ...process.env, DOCKER_CONFIG: path("docker") };
    const sides = [`${address}/team/filter:1`, `${registry.address}/copied/filter:1`];
    const copy = (...flags: readonly string[]) => runCommand(["copy", ...sides, ...flags], { cwd: path(), env });
    assert.equal((await copy("--from-ca-file", "ca.pem")).code, 0);
    assert.equal((await copy("--to-ca-file", "ca.pem", "--from-insecure")).code, 1);
  });

  it("are refused where they contradict each other, or name no certificates", async () => {
    for (const [flags, message] of [
      [["--insecure", "--ca-file", "ca.pem"], /cannot be used with option '--ca-file/],
      [["--insecure", "--plain-http"], /leave --plain-http out/],
      [["--ca-file", "no.pem"], /no\.pem holds no certificate in PEM/],
      [["--ca-file", "none.pem"], /none\.pem can't be read/],
    ] as const) {
      const { code, stderr } = await push(...flags);
      assert.equal(code, 2, stderr);
      assert.match(stderr, message);
    }
  });
});
