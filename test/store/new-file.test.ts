import assert from "node:assert/strict";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { storeFolder } from "../../src/store/location.ts";
import { NewFile } from "../../src/store/new-file.ts";
import { coded } from "../oci/scripted-server.ts";
import { temporaryFolder } from "./temporary-folder.ts";

describe("new file", () => {
  const path = temporaryFolder();

  it("has its name when it is whole, and not before", async () => {
    const file = await NewFile.create(path("a/file"), "keep");
    await file.write(Buffer.from("con"));
    await file.write(Buffer.from("tent"));
    assert.equal((await readdir(path("a"))).includes("file"), false);
    await file.finish();
    await file.discard();
    assert.deepEqual(await readdir(path("a")), ["file"]);
    assert.equal(await readFile(path("a/file"), "utf8"), "content");
  });

  it("leaves nothing when it is discarded", async () => {
    await (await NewFile.create(path("file"), "replace")).discard();
    assert.deepEqual(await readdir(path()), []);
  });

  it("replaces a file only if it is to, also one that came meanwhile", async () => {
    await NewFile.write(path("file"), Buffer.from("old"), "keep");
    await assert.rejects(NewFile.create(path("file"), "keep"), coded("Exists"));
    await NewFile.write(path("file"), Buffer.from("new"), "replace");
    assert.equal(await readFile(path("file"), "utf8"), "new");

    const late = await NewFile.create(path("late"), "keep");
    await writeFile(path("late"), "somebody else's");
    await assert.rejects(late.finish(), coded("Exists"));
    await late.discard();
    assert.equal(await readFile(path("late"), "utf8"), "somebody else's");
    assert.deepEqual((await readdir(path())).sort(), ["file", "late"]);
  });

  it("says what the file system refused", async () => {
    await writeFile(path("file"), "");
    await assert.rejects(NewFile.create(path("file/below"), "keep"), /can't create .*below: /);
  });
});

describe("folder of the local store", () => {
  it("is the one that is named, else the environment's, else below the user's data folder", () => {
    const env = { WASMOUNT_STORE: "/own", XDG_DATA_HOME: "/data" };
    assert.equal(storeFolder("here", env, "/home/me"), "here");
    assert.equal(storeFolder(undefined, env, "/home/me"), "/own");
    assert.equal(storeFolder(undefined, { XDG_DATA_HOME: "/data" }, "/home/me"), "/data/wasmount/images");
    assert.equal(storeFolder(undefined, {}, "/home/me"), "/home/me/.local/share/wasmount/images");
    assert.equal(
      storeFolder(undefined, { XDG_DATA_HOME: "relative" }, "/home/me"),
      "/home/me/.local/share/wasmount/images",
    );
  });
});
