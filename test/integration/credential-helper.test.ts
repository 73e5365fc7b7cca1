import assert from "node:assert/strict";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { inspect } from "node:util";
import { askHelper } from "../../src/docker/credential-helper.ts";
import { dockerConfigPath, localCredentials } from "../../src/docker/local-credentials.ts";
import { coded } from "../oci/scripted-server.ts";

describe("credential helpers", () => {
  let folder: string;
  let environment: Record<string, string>;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "wasmount-helper-"));
    environment = { PATH: `${folder}:${process.env["PATH"]}`, NOTES: folder };
  });

  afterEach(() => rm(folder, { recursive: true, force: true }));

  /** A real program. */
  const helper = (name: string, script: string) =>
    writeFile(join(folder, `docker-credential-${name}`), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  const noted = (name: string) => readFile(join(folder, name), "utf8");
  const answering = (username: string, secret: string) =>
    `printf '%s' '${JSON.stringify({ ServerURL: "s", Username: username, Secret: secret })}'`;

  it("are run as docker runs them: get, and the server on standard input", async () => {
    await helper("keys", `printf '%s' "$*" > "$NOTES/arguments"; cat > "$NOTES/input"; ${answering("u", "p")}`);
    const credential = await askHelper("keys", "r.example:5000", { environment });
    assert.deepEqual(credential, { kind: "password", username: "u", password: "p" });
    assert.equal(await noted("arguments"), "get");
    assert.equal(await noted("input"), "r.example:5000");
  });

  it("may answer with an identity token, and without reading the question", async () => {
    await helper("keys", answering("<token>", "refresh"));
    const credential = await askHelper("keys", "r.example", { environment });
    assert.deepEqual(credential, { kind: "identityToken", username: "<token>", token: "refresh" });
  });

  it("may have nothing", async () => {
    await helper("keys", "echo credentials not found in native keychain; exit 1");
    assert.equal(await askHelper("keys", "r.example", { environment }), null);
  });

  const failing: [what: string, script: string, problem: RegExp][] = [
    ["that fails", "echo hunter2; echo hunter2 >&2; exit 3", /docker-credential-keys failed with exit code 3/],
    ["that has nothing, but succeeds", "echo credentials not found in native keychain", /is not JSON$/],
    ["that writes no JSON", "echo hunter2", /is not JSON$/],
    ["that writes a key twice", `echo '{"Secret":"hunter2","Secret":"p","Username":"u"}'`, /twice in one object$/],
    ["that writes no user", answering("", "hunter2"), /no usable Username and Secret$/],
    ["that writes a user with a colon", answering("u:x", "hunter2"), /no usable Username and Secret$/],
    ["that never ends to write", "exec yes hunter2", /wrote more than 131072 bytes$/],
    ["that is no program", "", /could not be run|is not in any|failed/],
  ];
  for (const [what, script, problem] of failing) {
    it(`${what}: refused, and nothing of it repeated`, async () => {
      if (script === "") await mkdir(join(folder, "docker-credential-keys"));
      else await helper("keys", script);
      await assert.rejects(askHelper("keys", "r.example", { environment }), (error: unknown) => {
        assert.ok(coded("BadCredentials", problem)(error));
        assert.doesNotMatch(inspect(error, { depth: 9, showHidden: true }), /hunter2/);
        return true;
      });
    });
  }

  it("that don't answer are ended", async () => {
    await helper("keys", `echo $$ > "$NOTES/pid"; exec sleep 600`);
    const asking = askHelper("keys", "r.example", { environment, timeoutMs: 5_000 });
    await assert.rejects(asking, coded("BadCredentials", /did not answer within 5000 ms/));
    const pid = Number(await noted("pid"));
    assert.ok(pid > 0);
    assert.throws(() => process.kill(pid, 0), { code: "ESRCH" });
  });

  for (const name of ["", "..", "../evil", "a/b", "/bin/sh", "keys;id", "keys id", "-keys", "k".repeat(65), "kéys"]) {
    it(`called ${JSON.stringify(name.slice(0, 20))} are refused before anything is run`, async () => {
      await assert.rejects(askHelper(name, "r.example", { environment }), coded("BadCredentials", /^the name of a/));
    });
  }

  it("are not looked for in the current folder, nor below it", async () => {
    await helper("keys", `touch "$NOTES/ran"; ${answering("u", "p")}`);
    for (const path of ["", ".", relative(process.cwd(), folder)]) {
      const asking = askHelper("keys", "r.example", { environment: { ...environment, PATH: path } });
      await assert.rejects(asking, coded("BadCredentials", /is not in any absolute folder of PATH/));
    }
    await assert.rejects(noted("ran"), { code: "ENOENT" });
  });

  describe("in a docker configuration", () => {
    const credentialsOf = async (config: object, registry: string) => {
      const path = join(folder, "config.json");
      await writeFile(path, JSON.stringify(config));
      const warnings: string[] = [];
      const source = await localCredentials({ path, environment, warn: line => warnings.push(line) });
      const found = [...(await source(registry, "a")), ...(await source(registry, "b"))];
      return { users: found.map(one => ("username" in one ? one.username : one.kind)), warnings };
    };

    beforeEach(async () => {
      await helper("all", `cat >> "$NOTES/all"; echo >> "$NOTES/all"; ${answering("from-all", "p")}`);
      await helper("one", `cat >> "$NOTES/one"; echo >> "$NOTES/one"; ${answering("from-one", "p")}`);
    });

    it("are asked once for each registry, its own before the one for all, and before the file", async () => {
      const config = {
        credsStore: "all",
        credHelpers: { "r.example": "one", "none.example": "" },
        auths: { "r.example": { username: "from-file", password: "p" } },
      };
      assert.deepEqual(await credentialsOf(config, "r.example"), {
        users: ["from-one", "from-file", "from-one", "from-file"],
        warnings: [],
      });
      assert.equal(await noted("one"), "r.example\n");
      assert.deepEqual((await credentialsOf(config, "none.example")).users, []);
      assert.deepEqual((await credentialsOf(config, "other.example")).users, ["from-all", "from-all"]);
      assert.equal(await noted("all"), "other.example\n");
    });

    it("are asked for Docker Hub by the name that docker gives it", async () => {
      const { users } = await credentialsOf({ credHelpers: { "index.docker.io": "one" } }, "docker.io");
      assert.deepEqual(users, ["from-one", "from-one"]);
      assert.equal(await noted("one"), "https://index.docker.io/v1/\n");
    });

    it("that are missing are said once, and what the file holds is used", async () => {
      const config = { credsStore: "desktop", auths: { "r.example": { username: "from-file", password: "p" } } };
      assert.deepEqual(await credentialsOf(config, "r.example"), {
        users: ["from-file", "from-file"],
        warnings: ["no credentials for r.example: docker-credential-desktop is not in any absolute folder of PATH"],
      });
    });

    it("that doesn't exist are none, and one that is broken is refused", async () => {
      const options = { environment, warn: assert.fail };
      const path = dockerConfigPath({}, folder);
      assert.equal(path, join(folder, ".docker", "config.json"));
      assert.equal(dockerConfigPath({ DOCKER_CONFIG: "/etc/d" }, folder), "/etc/d/config.json");
      assert.deepEqual(await (await localCredentials({ ...options, path }))("r.example", "a"), []);
      await mkdir(join(folder, ".docker"));
      await writeFile(path, "{hunter2");
      await assert.rejects(
        localCredentials({ ...options, path }),
        coded("BadCredentials", /^(?!.*hunter2).*not JSON$/),
      );
    });
  });
});
