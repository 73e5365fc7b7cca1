import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Config } from "../../src/config/config.ts";
import { readRegistryCredentials } from "../../src/webhook/registry-credentials.ts";
import { coded } from "../oci/scripted-server.ts";

describe("the operator's registry credentials", () => {
  let folder: string;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "wasmount-credentials-"));
  });

  afterEach(() => rm(folder, { recursive: true, force: true }));

  const write = async (name: string, auths: object) => {
    const file = join(folder, name);
    await writeFile(file, JSON.stringify({ auths }));
    return file;
  };
  const login = (username: string) => ({ username, password: "hunter2" });
  const users = async (config: Config["registryCredentials"], namespace: string, repository: string) => {
    const found = (await readRegistryCredentials(config)).get(namespace);
    const credentials = (await found?.source("r.example", repository)) ?? [];
    return credentials.map(credential => ("username" in credential ? credential.username : credential.kind));
  };

  it("serve the namespaces and the repositories that their entry names, and no others", async () => {
    const file = await write("a.json", { "r.example": login("a") });
    const config = [{ file, namespaces: ["shop", "till"], repositories: ["r.example/team/*"] }];
    assert.deepEqual(await users(config, "shop", "team/filter"), ["a"]);
    assert.deepEqual(await users(config, "till", "team/filter"), ["a"]);
    assert.deepEqual(await users(config, "shop", "other/filter"), []);
    assert.deepEqual(await users(config, "shop-2", "team/filter"), []);
    assert.deepEqual(await users(config, "", "team/filter"), []);
  });

  it("of several entries for one namespace are all tried, each for its own repositories", async () => {
    const a = await write("a.json", { "r.example": login("a") });
    const b = await write("b.json", { "r.example": login("b") });
    const config = [
      { file: a, namespaces: ["shop"], repositories: ["r.example/**"] },
      { file: b, namespaces: ["shop"], repositories: ["r.example/team/*"] },
    ];
    assert.deepEqual(await users(config, "shop", "team/filter"), ["a", "b"]);
    assert.deepEqual(await users(config, "shop", "filter"), ["a"]);
  });

  it("are read anew each time, so that an exchanged Secret counts at once", async () => {
    const file = await write("a.json", { "r.example": login("old") });
    const config = [{ file, namespaces: ["shop"], repositories: ["r.example/**"] }];
    const found = (await readRegistryCredentials(config)).get("shop") ?? assert.fail("there are none");
    await write("a.json", { "r.example": login("new") });
    assert.deepEqual(await found.source("r.example", "a"), [{ kind: "password", ...login("new") }]);
    await rm(file);
    await assert.rejects(async () => found.source("r.example", "a"), coded("BadCredentials", /a\.json does not exist/));
  });

  const unusable: [what: string, text: string | null, problem: RegExp][] = [
    ["that does not exist", null, /^can't use registryCredentials\.0\.file: .*a\.json does not exist$/],
    ["that is no JSON", "{hunter2", /a\.json: it is not JSON$/],
    ["that is too long", `{"a": "${"hunter2".repeat(200_000)}"}`, /longer than 1048576 characters$/],
    ["that has only helpers", '{"credsStore": "hunter2"}', /holds no credentials: .*helpers are not run here$/],
  ];
  for (const [what, text, problem] of unusable) {
    it(`in a file ${what} are refused at start, without a word of it`, async () => {
      const file = join(folder, "a.json");
      if (text !== null) await writeFile(file, text);
      const config = [{ file, namespaces: ["shop"], repositories: ["r.example/**"] }];
      await assert.rejects(readRegistryCredentials(config), (error: unknown) => {
        assert.ok(coded("Unusable", problem)(error));
        assert.doesNotMatch(String(error), /hunter2/);
        return true;
      });
    });
  }

  it("in what is no file are refused at start", async () => {
    const config = [{ file: folder, namespaces: ["shop"], repositories: ["r.example/**"] }];
    await assert.rejects(readRegistryCredentials(config), coded("Unusable", /EISDIR/));
  });
});
