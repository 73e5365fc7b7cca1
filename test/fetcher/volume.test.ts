import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { chmod, mkdir, mkdtemp, open, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { UnfinishedFile, Volume } from "../../src/fetcher/volume.ts";
import { unavailable } from "../environment/requirement.ts";

describe("shared volume", () => {
  let root: string;
  let volume: Volume;

  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), "wasmount-volume-"));
    volume = new Volume(root);
    await volume.open();
  });

  afterEach(async () => {
    await new Volume(root).open();
    await rm(root, { recursive: true });
  });

  it("shows a file only when it is whole, read-only", async () => {
    const final = volume.path("modules", "x.wasm");
    const file = await volume.create(final);
    await file.write(Buffer.from("half"));
    await assert.rejects(stat(final), { code: "ENOENT" });
    await file.write(Buffer.from(" and half"));
    await file.finish(final, createHash("sha256").update("half and half").digest("hex"));
    assert.equal(await readFile(final, "utf8"), "half and half");
    assert.equal((await stat(final)).mode & 0o777, 0o444);
    assert.deepEqual(await readdir(volume.path("modules")), ["x.wasm"]);
  });

  it("gathers chunks of any size in their order", async () => {
    const chunks = [1, 300_000, 600_000, 5, 1_000_000, 0, 7].map(size => randomBytes(size));
    const sha256 = createHash("sha256").update(Buffer.concat(chunks)).digest("hex");
    const file = await volume.create(volume.path("modules", "x.wasm"));
    for (const chunk of chunks) await file.write(chunk);
    await file.finish(volume.path("modules", "x.wasm"), sha256);
    assert.equal(await volume.seal(), 1, "it has the hash");
  });

  it("gives back the memory of chunks that it may take, and of no others", async () => {
    const shared = Buffer.from(new ArrayBuffer(8)).fill("b");
    const chunks = [Buffer.from(new ArrayBuffer(4)).fill("a"), shared.subarray(0, 4)] as const;
    const lent = Buffer.from(new ArrayBuffer(4)).fill("c");
    const file = await volume.create(volume.path("modules", "x.wasm"));
    for (const chunk of chunks) await file.take(chunk);
    await file.write(lent);
    await file.written();
    assert.deepEqual(
      [...chunks, shared, lent].map(({ length }) => length),
      [0, 4, 8, 4],
    );
    await file.finish(volume.path("modules", "x.wasm"), createHash("sha256").update("aaaabbbbcccc").digest("hex"));
    assert.equal(await readFile(volume.path("modules", "x.wasm"), "utf8"), "aaaabbbbcccc");
  });

  it("goes on where the system took less than all", async () => {
    const path = volume.path("modules", "x.wasm");
    await using handle = await open(path, "w");
    const slow = new Proxy(handle, {
      get: (target, name) =>
        name === "writev"
          ? ([first]: Uint8Array[]) => target.write(first as Uint8Array, 0, Math.min(3, first?.length ?? 0))
          : Reflect.get(target, name),
    });
    const file = new UnfinishedFile(path, slow, () => {});
    for (const text of ["ab", "cdefg", "", "hi"]) await file.write(Buffer.from(text));
    await file.written();
    assert.equal(await readFile(path, "utf8"), "abcdefghi");
  });

  it("says that the volume is full, whenever it shows", async function () {
    if (!existsSync("/dev/full")) unavailable(this, "it has no /dev/full");
    const file = new UnfinishedFile(volume.path("modules", "x.wasm"), await open("/dev/full", "w"), () => {});
    await file.write(Buffer.alloc(2 << 20));
    await assert.rejects(file.write(Buffer.alloc(2 << 20)), { code: "Volume", message: /raise volume\.sizeLimit/ });
    await assert.rejects(file.finish(volume.path("modules", "x.wasm"), ""), { code: "Volume" });
    await file.discard();
  });

  it("leaves nothing of a file that was given up", async () => {
    const file = await volume.create(volume.path("modules", "x.wasm"));
    await file.write(Buffer.from("half"));
    await file.discard();
    assert.deepEqual(await readdir(volume.path("modules")), []);
  });

  it("clears what a killed run left unfinished, and nothing else", async () => {
    await volume.write(volume.path("modules", "kept.wasm"), "kept");
    await writeFile(volume.path("modules", ".unfinished-0123"), "half");
    await new Volume(root).open();
    assert.deepEqual(await readdir(volume.path("modules")), ["kept.wasm"]);
  });

  it("makes folders at any depth that the proxy's user can read, and closes them all", async () => {
    const umask = process.umask(0o077);
    try {
      await volume.write(volume.path("bootstrap", "etc/envoy/envoy.yaml"), "a");
      for (const folder of ["bootstrap", "bootstrap/etc", "bootstrap/etc/envoy"]) {
        assert.equal((await stat(join(root, folder))).mode & 0o777, 0o755, folder);
      }
      await volume.seal();
      for (const folder of ["bootstrap", "bootstrap/etc", "bootstrap/etc/envoy"]) {
        assert.equal((await stat(join(root, folder))).mode & 0o777, 0o555, folder);
      }
    } finally {
      process.umask(umask);
    }
  });

  it("clears what was left unfinished at any depth, a folder of such a name too", async () => {
    await volume.write(volume.path("bootstrap", "etc/envoy/envoy.yaml"), "a");
    await writeFile(volume.path("bootstrap", "etc/envoy/.unfinished-1"), "half");
    await mkdir(volume.path("modules", ".unfinished-2"));
    await volume.seal();
    await new Volume(root).open();
    assert.deepEqual(await readdir(volume.path("bootstrap", "etc/envoy")), ["envoy.yaml"]);
    assert.deepEqual(await readdir(volume.path("modules")), []);
  });

  it("closes its folders once all it wrote reads back right", async () => {
    await volume.write(volume.path("filters", "a.yaml"), "a");
    assert.equal(await volume.seal(), 1);
    assert.equal((await stat(volume.path("filters"))).mode & 0o777, 0o555);
    await new Volume(root).open();
    assert.equal((await stat(volume.path("filters"))).mode & 0o777, 0o755, "a later run may write again");
  });

  for (const [title, tamper] of [
    ["was changed", (path: string) => writeFile(path, "b")],
    ["is gone", (path: string) => rm(path)],
  ] as const) {
    it(`does not seal a file that ${title}`, async () => {
      const path = volume.path("filters", "a.yaml");
      await volume.write(path, "a");
      await chmod(path, 0o644);
      await tamper(path);
      await assert.rejects(volume.seal(), { code: "Altered", message: /a\.yaml/ });
    });
  }

  it("looks at adopted files too", async () => {
    const path = volume.path("modules", "old.wasm");
    await writeFile(path, "old");
    volume.adopt(path, "0".repeat(64));
    await assert.rejects(volume.seal(), { code: "Altered" });
  });

  it("says what it could not do where the volume is none", async () => {
    await assert.rejects(new Volume("/proc/self/status").open(), {
      code: "Volume",
      message: /can't open \/proc\/self\/status\/modules/,
    });
  });
});
