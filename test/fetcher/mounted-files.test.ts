import assert from "node:assert/strict";
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { copyMountedFiles } from "../../src/fetcher/mounted-files.ts";
import { Volume } from "../../src/fetcher/volume.ts";

describe("files beside an edited configuration", () => {
  let folder: string;
  let from: string;
  let to: string;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "wasmount-mounted-"));
    from = join(folder, "source");
    to = join(folder, "volume/bootstrap/etc/envoy");
    await mkdir(from);
    await mkdir(join(folder, "volume"));
    await writeFile(join(from, "envoy.yaml"), "static_resources: {}");
  });

  afterEach(() => rm(folder, { recursive: true }));

  async function copy(): Promise<void> {
    const volume = new Volume(join(folder, "volume"));
    volume.open();
    copyMountedFiles({ from, to }, join(from, "envoy.yaml"), volume);
    await volume.settled();
  }

  const copied = () => readdir(to).catch(() => []);

  it("are copied byte for byte, without the configuration itself", async () => {
    const bytes = Buffer.from([0, 0xff, 0xfe, 0x0d, 0x0a]);
    await writeFile(join(from, "key.der"), bytes);
    await copy();
    assert.deepEqual(await copied(), ["key.der"]);
    assert.deepEqual(await readFile(join(to, "key.der")), bytes);
  });

  it("are at most 256, the configuration among them", async () => {
    for (let index = 0; index < 255; index++) await writeFile(join(from, `file-${index}`), "");
    await copy();
    assert.equal((await copied()).length, 255);
    await writeFile(join(from, "one-more"), "");
    await assert.rejects(copy(), {
      code: "NoBootstrap",
      message: /it holds 257 files, at most 256 are copied.*-c in args/,
    });
  }).timeout(60_000);

  it("have at most 4 MiB each", async () => {
    const path = join(from, "geo.mmdb");
    await writeFile(path, "");
    await truncate(path, 4 * 1024 * 1024);
    await copy();
    assert.deepEqual(await copied(), ["geo.mmdb"]);
    await truncate(path, 4 * 1024 * 1024 + 1);
    await assert.rejects(copy(), {
      code: "NoBootstrap",
      message: /geo\.mmdb is larger than 4194304 bytes.*-c in args/,
    });
  });

  it("are refused where one is another configuration, also under a second name of a folder's link", async () => {
    await mkdir(join(from, "..data"));
    await writeFile(join(from, "..data/other.json"), '{"static_resources": {}}');
    await symlink("..data/other.json", join(from, "other.json"));
    await assert.rejects(copy(), {
      code: "NoBootstrap",
      message: /other\.json is an Envoy configuration too.*-c in args/,
    });
    assert.deepEqual(await copied(), []);
  });

  it("are refused where one may be another configuration, with the reason and what to do", async () => {
    await writeFile(join(from, "other.json"), '{"static_resources": {},}');
    await assert.rejects(copy(), {
      code: "NoBootstrap",
      message: /whether .*other\.json is an Envoy .*not valid JSON.*-c in args.*or keep other files in another volume/,
    });
    assert.deepEqual(await copied(), []);
  });
});
