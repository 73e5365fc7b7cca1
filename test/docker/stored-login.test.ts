import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { localCredentials } from "../../src/docker/local-credentials.ts";
import { removeLogin } from "../../src/docker/stored-login.ts";
import { temporaryFolder } from "../store/temporary-folder.ts";

describe("removeLogin", () => {
  const inFolder = temporaryFolder();
  const entry = { auth: Buffer.from("robot:hunter2").toString("base64") };

  function options() {
    const environment = { PATH: `${inFolder()}:${process.env["PATH"]}`, NOTES: inFolder("notes") };
    return { path: inFolder("config.json"), environment };
  }

  async function holding(keys: readonly string[], more: Readonly<Record<string, unknown>> = {}) {
    const config = { auths: Object.fromEntries(keys.map(key => [key, entry])), ...more };
    await writeFile(options().path, JSON.stringify(config));
  }

  async function keysLeft(): Promise<string[]> {
    return Object.keys(JSON.parse(await readFile(options().path, "utf8")).auths);
  }

  const spelled: readonly (readonly [registry: string, key: string])[] = [
    ["reg.example.com", "reg.example.com"],
    ["reg.example.com", "https://reg.example.com"],
    ["reg.example.com", "http://reg.example.com/"],
    ["reg.example.com", "https://reg.example.com/v2/"],
    ["reg.example.com", "reg.example.com:443"],
    ["reg.example.com", "REG.example.com"],
    ["reg.example.com:5000", "https://reg.example.com:5000/v1"],
    ["[::1]:5000", "http://[::1]:5000"],
    ["docker.io", "https://index.docker.io/v1/"],
    ["docker.io", "registry-1.docker.io"],
  ];
  for (const [registry, key] of spelled) {
    it(`forgets ${registry} as ${key}, after which there is none to use`, async () => {
      await holding([key, "other.example"]);
      const credentials = async () =>
        (await localCredentials({ ...options(), warn: assert.fail }))(registry, "team/filter");
      assert.equal((await credentials()).length, 1);
      assert.equal(await removeLogin(registry, options()), true);
      assert.deepEqual(await keysLeft(), ["other.example"]);
      assert.deepEqual(await credentials(), []);
    });
  }

  it("leaves what is for other registries or for one repository, and says that there was none", async () => {
    const others = ["*.example.com", "reg.example.com/team", "reg.example.com:5000", "reg.example", "no registry"];
    await holding(others);
    assert.equal(await removeLogin("reg.example.com", options()), false);
    assert.deepEqual(await keysLeft(), others);
  });

  it("has the credential helper forget each spelling", async () => {
    const script = '#!/bin/sh\necho "$1 $(cat)" >> "$NOTES"\n';
    await writeFile(inFolder("docker-credential-keys"), script, { mode: 0o755 });
    await holding(["https://reg.example.com", "reg.example.com:443", "other.example"], { credsStore: "keys" });
    assert.equal(await removeLogin("reg.example.com", options()), true);
    const asked = (await readFile(inFolder("notes"), "utf8")).trimEnd().split("\n");
    assert.deepEqual(asked, ["erase reg.example.com", "erase https://reg.example.com", "erase reg.example.com:443"]);
    assert.deepEqual(await keysLeft(), ["other.example"]);
  });
});
