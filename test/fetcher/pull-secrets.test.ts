import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pullSecretCredentials } from "../../src/fetcher/pull-secrets.ts";

describe("pull secrets in the fetcher", () => {
  let folder: string;
  let lines: string[];

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "wasmount-secrets-"));
    lines = [];
  });

  afterEach(() => rm(folder, { recursive: true, force: true }));

  const config = (username: string) => ({ "r.example": { username, password: "hunter2" } });
  const credentials = async (names: string[]) => {
    const source = await pullSecretCredentials({ folder, names }, line => lines.push(line));
    return source("r.example", "a").map(credential => ("username" in credential ? credential.username : ""));
  };

  it("are read in both types, in the pod's order", async () => {
    await writeFile(join(folder, "0.legacy.json"), JSON.stringify(config("old")));
    await writeFile(join(folder, "1.json"), JSON.stringify({ auths: config("new") }));
    assert.deepEqual(await credentials(["a", "b"]), ["old", "new"]);
    assert.deepEqual(lines, []);
  });

  it("that don't exist or can't be read are said, without what stands in them, and passed over", async () => {
    await writeFile(join(folder, "1.json"), "{hunter2");
    await writeFile(join(folder, "2.json"), JSON.stringify({ auths: config("third") }));
    assert.deepEqual(await credentials(["absent", "broken", "good"]), ["third"]);
    assert.deepEqual(lines, [
      "pull secret absent: does not exist, or holds no docker configuration",
      "pull secret broken: passed over: can't read the docker configuration of pull secret broken: it is not JSON",
    ]);
  });

  it("for the same host are all kept, in the pod's order: none hides another's", async () => {
    await writeFile(join(folder, "0.json"), JSON.stringify({ auths: config("first") }));
    await writeFile(join(folder, "1.json"), JSON.stringify({ auths: {} }));
    await writeFile(join(folder, "2.json"), JSON.stringify({ auths: config("second") }));
    assert.deepEqual(await credentials(["a", "b", "c"]), ["first", "second"]);
  });

  it("of a plan without any are none", async () => {
    const source = await pullSecretCredentials(null, line => lines.push(line));
    assert.deepEqual(source("r.example", "a"), []);
  });
});
