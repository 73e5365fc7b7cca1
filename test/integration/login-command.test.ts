import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type CommandOutcome, runCommand } from "../environment/command.ts";
import { startHostileRegistry } from "../environment/hostile-registry.ts";
import { type Registry, startRegistry } from "../environment/registry/registry.ts";
import { runInTerminal } from "../environment/terminal.ts";
import { GOOD_MODULE } from "../images/modules.ts";

const LOGIN = { username: "robot", password: "correct:horse" };

describe("wasmount login and logout", function () {
  // Many processes, one after the other.
  this.timeout(5 * 60_000);
  let folder: string;
  let registry: Registry;
  let env: NodeJS.ProcessEnv;

  before(async () => {
    registry = await startRegistry({ login: LOGIN });
  });

  after(() => registry.close());

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "wasmount-login-"));
    env = { ...process.env, DOCKER_CONFIG: folder, PATH: `${folder}:${process.env["PATH"]}`, NOTES: folder };
    await writeFile(join(folder, "filter.wasm"), GOOD_MODULE);
  });

  afterEach(() => rm(folder, { recursive: true }));

  function run(args: readonly string[], input = ""): Promise<CommandOutcome> {
    return runCommand(args, { cwd: folder, env, input });
  }

  function login(password: string, ...more: readonly string[]): Promise<CommandOutcome> {
    return run(["login", registry.address, "-u", LOGIN.username, "--password-stdin", ...more], `${password}\n`);
  }

  const config = async () => JSON.parse(await readFile(join(folder, "config.json"), "utf8"));
  const entry = Buffer.from(`${LOGIN.username}:${LOGIN.password}`).toString("base64");

  it("keeps what the registry takes, uses it, and forgets it", async () => {
    const { code, stdout, stderr } = await login(LOGIN.password);
    assert.deepEqual([code, stderr], [0, ""]);
    assert.equal(stdout, `logged in to ${registry.address}, kept in ${join(folder, "config.json")}\n`);
    assert.deepEqual(await config(), { auths: { [registry.address]: { auth: entry } } });
    assert.equal((await stat(join(folder, "config.json"))).mode & 0o777, 0o600);
    const pushed = await run(["push", "filter.wasm", `${registry.address}/private/filter:1`]);
    assert.equal(pushed.code, 0, pushed.stderr);

    assert.equal((await run(["logout", registry.address])).stdout, `logged out of ${registry.address}\n`);
    assert.deepEqual(await config(), { auths: {} });
    const refused = await run(["inspect", `${registry.address}/private/filter:1`]);
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, /wants credentials and there are none for it/);
    const again = await run(["logout", registry.address]);
    assert.deepEqual([again.code, again.stdout], [0, ""]);
    assert.match(again.stderr, /there was no login/);
  });

  it("keeps nothing that the registry refuses, and repeats no password", async () => {
    const { code, stdout, stderr } = await login("wrong-password", "--json");
    assert.equal(code, 1);
    assert.equal(JSON.parse(stdout).error.code, "Unauthorized");
    assert.doesNotMatch(stdout + stderr, /wrong-password/);
    await assert.rejects(config(), { code: "ENOENT" });
  });

  it("prints nothing of a login that a registry quotes", async () => {
    const quoting = await startHostileRegistry();
    quoting.script(({ headers: { authorization } }, response) => {
      const status = authorization === undefined ? 401 : 403;
      response
        .writeHead(status, { "www-authenticate": "Basic realm=x" })
        .end(`no right: authorization=${authorization}`);
      return true;
    });
    try {
      const args = [quoting.address, "-u", LOGIN.username, "--password-stdin"];
      const refused = await run(["login", ...args], `${LOGIN.password}\n`);
      assert.equal(refused.code, 1);
      assert.match(refused.stderr, /^wasmount login: .* denies access \(403\)\n$/);

      await writeFile(join(folder, "config.json"), JSON.stringify({ auths: { [quoting.address]: { auth: entry } } }));
      const { code, stdout, stderr } = await run(["list", `${quoting.address}/team/filter`, "--json"]);
      assert.equal(code, 1);
      assert.equal(JSON.parse(stdout).error.detail, null);
      assert.ok(!(stdout + stderr).includes(entry) && !(stdout + stderr).includes(LOGIN.password));
    } finally {
      await quoting.close();
    }
  });

  it("leaves the rest of the configuration as it is, and where it is", async () => {
    const other = {
      auths: { "other.example": { auth: "eDp5" } },
      HttpHeaders: { a: "b" },
      credHelpers: { "x.example": "x" },
    };
    await writeFile(join(folder, "real.json"), JSON.stringify(other), { mode: 0o644 });
    await symlink("real.json", join(folder, "config.json"));
    assert.equal((await login(LOGIN.password)).code, 0);
    assert.deepEqual(await config(), { ...other, auths: { ...other.auths, [registry.address]: { auth: entry } } });
    assert.deepEqual(JSON.parse(await readFile(join(folder, "real.json"), "utf8")), await config());
    assert.equal((await stat(join(folder, "real.json"))).mode & 0o777, 0o600);
  });

  it("does not touch a configuration that it can't read", async () => {
    await writeFile(join(folder, "config.json"), '{"auths": "secret');
    const { code, stderr } = await login(LOGIN.password);
    assert.equal(code, 2);
    assert.match(stderr, /can't read the docker configuration of .*config\.json: it is not JSON/);
    assert.equal(await readFile(join(folder, "config.json"), "utf8"), '{"auths": "secret');
  });

  it("gives the login to the credential helper where one is named, on its input alone", async () => {
    const script = '#!/bin/sh\necho "$*" >> "$NOTES/arguments"\ncat > "$NOTES/$1"\n';
    await writeFile(join(folder, "docker-credential-keys"), script, { mode: 0o755 });
    await writeFile(join(folder, "config.json"), JSON.stringify({ credsStore: "keys" }));
    // The helper has no answer that is one: a login does not ask for it, and passes it over.
    assert.equal((await login(LOGIN.password, "--quiet")).code, 0);
    assert.deepEqual(JSON.parse(await readFile(join(folder, "store"), "utf8")), {
      ServerURL: registry.address,
      Username: LOGIN.username,
      Secret: LOGIN.password,
    });
    assert.equal((await run(["logout", registry.address])).code, 0);
    assert.equal(await readFile(join(folder, "erase"), "utf8"), registry.address);
    assert.deepEqual(await config(), { credsStore: "keys" });
    assert.doesNotMatch(await readFile(join(folder, "arguments"), "utf8"), /horse/);
  });

  it("asks in a terminal, and does not show the password", async () => {
    const answers = { "User name for": LOGIN.username, "Password for": LOGIN.password };
    const { code, shown } = await runInTerminal(["login", registry.address], answers, { cwd: folder, env });
    assert.equal(code, 0, shown);
    assert.doesNotMatch(shown, /horse/);
    assert.match(shown, /logged in to/);
    assert.deepEqual(await config(), { auths: { [registry.address]: { auth: entry } } });
  });

  const usage: readonly [title: string, args: readonly string[], message: RegExp][] = [
    ["a password as an argument", ["login", "r.example", "-u", "u", "-p", "secret"], /unknown option '-p'/],
    ["no way to ask for a password", ["login", "r.example", "-u", "u"], /no terminal .*--password-stdin/],
    ["no user name beside a password", ["login", "r.example", "--password-stdin"], /must come with --username/],
    ["an empty password", ["login", "r.example", "-u", "u", "--password-stdin"], /holds no password/],
    ["a user name with a colon", ["login", "r.example", "-u", "u:x", "--password-stdin"], /no colon/],
    ["a name that is no registry", ["login", "registry", "-u", "u", "--password-stdin"], /is no registry/],
  ];
  for (const [title, args, message] of usage) {
    it(`ends with exit code 2 for ${title}`, async () => {
      const { code, stdout, stderr } = await run(args);
      assert.deepEqual([code, stdout], [2, ""]);
      assert.match(stderr, message);
    });
  }
});
