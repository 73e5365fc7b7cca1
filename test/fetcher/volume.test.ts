import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { existsSync, futimesSync, openSync, writeSync } from "node:fs";
import {
  appendFile,
  chmod,
  link,
  mkdir,
  mkdtemp,
  open,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  symlink,
  truncate,
  utimes,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { UnfinishedFile } from "../../src/fetcher/unfinished-file.ts";
import { Volume } from "../../src/fetcher/volume.ts";
import { unavailable } from "../environment/requirement.ts";

describe("shared volume", () => {
  let root: string;
  let volume: Volume;

  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), "wasmount-volume-"));
    volume = new Volume(root);
    volume.open();
  });

  afterEach(async () => {
    new Volume(root).open();
    await rm(root, { recursive: true });
  });

  it("shows a file only when it is whole, read-only", async () => {
    const final = volume.path("modules", "x.wasm");
    const file = volume.create(final);
    file.write(Buffer.from("half"));
    await assert.rejects(stat(final), { code: "ENOENT" });
    file.write(Buffer.from(" and half"));
    await file.finish(final, sha256("half and half"));
    assert.equal(await readFile(final, "utf8"), "half and half");
    assert.equal((await stat(final)).mode & 0o777, 0o444);
    assert.deepEqual(await readdir(volume.path("modules")), ["x.wasm"]);
  });

  it("writes chunks of any size in their order, and leaves them to whoever gave them", async () => {
    const chunks = [1, 300_000, 600_000, 5, 1_000_000, 0, 7].map(size => randomBytes(size));
    const content = Buffer.concat(chunks);
    const file = volume.create(volume.path("modules", "x.wasm"));
    for (const chunk of chunks) {
      file.write(chunk);
      chunk.fill(0);
    }
    await file.finish(volume.path("modules", "x.wasm"), sha256(content));
    assert.deepEqual(await readFile(volume.path("modules", "x.wasm")), content);
    assert.equal(await volume.seal(), 1);
  });

  it("goes on where the system took less than all", async () => {
    const path = volume.path("modules", "x.wasm");
    await using handle = await open(path, "w");
    const few = (descriptor: number, bytes: Uint8Array) => writeSync(descriptor, bytes, 0, Math.min(3, bytes.length));
    const file = new UnfinishedFile(path, handle.fd, () => {}, few);
    for (const text of ["ab", "cdefg", "", "hi"]) file.write(Buffer.from(text));
    assert.equal(await readFile(path, "utf8"), "abcdefghi");
  });

  it("says that the volume is full", async function () {
    if (!existsSync("/dev/full")) unavailable(this, "it has no /dev/full");
    const file = new UnfinishedFile(volume.path("modules", "x.wasm"), openSync("/dev/full", "w"), () => {});
    assert.throws(() => file.write(Buffer.alloc(2)), { code: "Volume", message: /raise volume\.sizeLimit/ });
    await file.discard();
  });

  it("goes on no further where bytes could not be brought to disk", async () => {
    // Takes all, and has no disk.
    const file = new UnfinishedFile(volume.path("modules", "x.wasm"), openSync("/dev/null", "w"), () => {});
    file.write(Buffer.alloc(8 * 1024 * 1024));
    await assert.rejects(
      async () => {
        for (;;) {
          file.write(Buffer.alloc(1));
          await new Promise(setImmediate);
        }
      },
      { code: "Volume" },
    );
    await file.discard();
  });

  it("gives no name to what could not be brought to disk", async () => {
    // Takes some, and has no disk.
    const path = volume.path("modules", ".unfinished-pipe");
    execFileSync("mkfifo", [path]);
    const final = volume.path("modules", "x.wasm");
    const file = new UnfinishedFile(path, openSync(path, "r+"), () => assert.fail("it has no name"));
    file.write(Buffer.from("some"));
    await assert.rejects(file.finish(final, sha256("some")), { code: "Volume", message: /x\.wasm/ });
    assert.deepEqual(await readdir(volume.path("modules")), []);
  });

  it("leaves nothing of a file that was given up", async () => {
    const file = volume.create(volume.path("modules", "x.wasm"));
    file.write(Buffer.from("half"));
    await file.discard();
    assert.deepEqual(await readdir(volume.path("modules")), []);
  });

  it("clears what a killed run left unfinished, and nothing else", async () => {
    await volume.write(volume.path("modules", "kept.wasm"), "kept");
    await writeFile(volume.path("modules", ".unfinished-0123"), "half");
    new Volume(root).open();
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
    new Volume(root).open();
    assert.deepEqual(await readdir(volume.path("bootstrap", "etc/envoy")), ["envoy.yaml"]);
    assert.deepEqual(await readdir(volume.path("modules")), []);
  });

  it("closes its folders once all it wrote reads back right", async () => {
    await volume.write(volume.path("filters", "a.yaml"), "a");
    assert.equal(await volume.seal(), 1);
    assert.equal((await stat(volume.path("filters"))).mode & 0o777, 0o555);
    new Volume(root).open();
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

  describe("holds what was streamed, without reading it again, to the state it was left in", () => {
    const CONTENT = randomBytes(3000);
    /** In whole seconds: Node can set nothing finer again. */
    const MODIFIED = 1_700_000_000;
    let path: string;

    beforeEach(async () => {
      path = volume.path("modules", "x.wasm");
      const file = volume.create(path);
      file.write(CONTENT);
      futimesSync(file.descriptor, MODIFIED, MODIFIED);
      await file.finish(path, sha256(CONTENT));
      await laterThan(path);
    });

    const ways: Readonly<Record<string, () => Promise<void>>> = {
      "was written to, with its times and mode as before": async () => {
        await chmod(path, 0o644);
        await using file = await open(path, "r+");
        await file.write(Buffer.from([~(CONTENT[7] ?? 0)]), 0, 1, 7);
        await file.utimes(MODIFIED, MODIFIED);
        await file.chmod(0o444);
      },
      "was replaced by one of its size, times and mode": async () => {
        await writeFile(`${path}.new`, randomBytes(CONTENT.length), { mode: 0o444 });
        await utimes(`${path}.new`, MODIFIED, MODIFIED);
        await rename(`${path}.new`, path);
      },
      "is a link to another": async () => {
        await writeFile(join(root, "other"), randomBytes(CONTENT.length));
        await rm(path);
        await symlink(join(root, "other"), path);
      },
      "was cut": async () => {
        await chmod(path, 0o644);
        await truncate(path, CONTENT.length - 1);
      },
      "has grown": async () => {
        await chmod(path, 0o644);
        await appendFile(path, "x");
      },
      "is gone": () => rm(path),
    };
    for (const [title, tamper] of Object.entries(ways)) {
      it(`refuses one that ${title}`, async () => {
        await tamper();
        await assert.rejects(volume.seal(), { code: "Altered", message: /x\.wasm/ });
      });
    }

    it("reads one whose state changed, and takes it where its bytes are right", async () => {
      await chmod(path, 0o644);
      await utimes(path, 0, 0);
      assert.equal(await volume.seal(), 1);
    });
  });

  const touches: Readonly<Record<string, (path: string) => Promise<void>>> = {
    written: path => appendFile(path, "x"),
    linked: path => link(path, join(root, "kept-open")),
  };
  for (const [what, touch] of Object.entries(touches)) {
    it(`gives no name to what somebody else has ${what} meanwhile`, async () => {
      const path = volume.path("modules", "x.wasm");
      const file = volume.create(path);
      file.write(Buffer.from("mine"));
      const [name = ""] = await readdir(volume.path("modules"));
      await touch(volume.path("modules", name));
      await assert.rejects(file.finish(path, sha256("mine")), { code: "Altered" });
      await file.discard();
      assert.deepEqual(await readdir(volume.path("modules")), []);
    });
  }

  it("tells at the end of what failed meanwhile, and gives it no name", async () => {
    const path = volume.path("filters", "a.yaml");
    await mkdir(join(path, "in-the-way"), { recursive: true });
    volume.later(volume.write(path, "a"));
    volume.later(volume.write(volume.path("filters", "b.yaml"), "b"));
    await assert.rejects(volume.seal(), { code: "Volume", message: /a\.yaml/ });
    assert.deepEqual((await readdir(volume.path("filters"))).sort(), ["a.yaml", "b.yaml"]);
    assert.equal((await stat(volume.path("filters"))).mode & 0o777, 0o755, "it is not sealed");
  });

  it("gives a file its name after what has to be there before it", async () => {
    const { promise: before, resolve } = Promise.withResolvers<void>();
    volume.later(volume.write(volume.path("filters", "a.yaml"), "a", before));
    await volume.write(volume.path("filters", "b.yaml"), "b");
    // Its bytes were on disk before those of the other one were asked for.
    const names = await readdir(volume.path("filters"));
    assert.deepEqual(
      names.filter(name => !name.startsWith(".unfinished-")),
      ["b.yaml"],
    );
    resolve();
    assert.equal(await volume.seal(), 2);
    assert.deepEqual((await readdir(volume.path("filters"))).sort(), ["a.yaml", "b.yaml"]);
  });

  it("gives a file no name where what has to be there before it is not, and leaves nothing of it", async () => {
    const before = Promise.reject(new Error("no module"));
    before.catch(() => {});
    volume.later(volume.write(volume.path("filters", "a.yaml"), "a", before));
    await assert.rejects(volume.seal(), { message: "no module" });
    assert.deepEqual(await readdir(volume.path("filters")), []);
  });

  it("waits for what fails, as often as it is asked", async () => {
    volume.later(Promise.reject(new Error("once")));
    await assert.rejects(volume.settled(), { message: "once" });
    await assert.rejects(volume.settled(), { message: "once" });
  });

  it("gives a file a second name, which a later run moves to another file at once", async () => {
    const name = join(root, "slots/in-last-01.wasm");
    for (const text of ["one", "two"]) {
      const volume = new Volume(root);
      volume.open();
      const file = join(root, `modules/${text}.wasm`);
      await volume.write(file, text);
      volume.link(name, file, sha256(text));
      await volume.seal();
      assert.equal(await readFile(name, "utf8"), text);
      assert.deepEqual(await readdir(join(root, "slots")), ["in-last-01.wasm"]);
    }
  });

  it("does not seal a second name that leads elsewhere", async () => {
    const volume = new Volume(root);
    volume.open();
    const file = join(root, "modules/one.wasm");
    await volume.write(file, "one");
    volume.link(join(root, "slots/in-last-01.wasm"), file, sha256("another"));
    await assert.rejects(volume.seal(), /slots\/in-last-01\.wasm has sha256/);
  });

  it("looks at adopted files too", async () => {
    const path = volume.path("modules", "old.wasm");
    await writeFile(path, "old");
    volume.adopt(path, "0".repeat(64));
    await assert.rejects(volume.seal(), { code: "Altered" });
  });

  it("says what it could not do where the volume is none", async () => {
    assert.throws(() => new Volume("/proc/self/status").open(), {
      code: "Volume",
      message: /can't open \/proc\/self\/status\/modules/,
    });
  });
});

/** Waits until a change of a file would show in its times: they go by ticks of the kernel. */
async function laterThan(path: string): Promise<void> {
  const probe = `${path}.probe`;
  const { ctimeNs } = await stat(path, { bigint: true });
  do await writeFile(probe, "");
  while ((await stat(probe, { bigint: true })).ctimeNs <= ctimeNs);
  await rm(probe);
}

function sha256(bytes: string | Buffer): string {
  return createHash("sha256").update(bytes).digest("hex");
}
