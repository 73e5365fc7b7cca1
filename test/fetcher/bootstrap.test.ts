import assert from "node:assert/strict";
import { mkdir, mkdtemp, readdir, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { MAX_BOOTSTRAP_LENGTH } from "../../src/envoy/bootstrap.ts";
import { writeBootstrap } from "../../src/fetcher/bootstrap.ts";
import { Volume } from "../../src/fetcher/volume.ts";
import { bootstrapFixtures } from "../envoy/fixtures.ts";
import { samplePlan } from "../plan/sample.ts";

describe("the author's configuration, read by the fetcher", () => {
  const good = bootstrapFixtures().find(({ name }) => name === "plain.yaml")?.input ?? "";
  let folder: string;
  let source: string;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "wasmount-bootstrap-"));
    source = join(folder, "envoy.yaml");
    await mkdir(join(folder, "volume"));
  });

  afterEach(() => rm(folder, { recursive: true }));

  async function write(): Promise<readonly string[]> {
    const root = join(folder, "volume");
    const volume = new Volume(root);
    volume.open();
    const target = volume.path("bootstrap", "etc/envoy/envoy.yaml");
    const edited = writeBootstrap({ ...samplePlan(), root }, { source, target, copy: null }, volume);
    await volume.settled();
    return edited.managers;
  }

  const written = () => readdir(join(folder, "volume/bootstrap"));

  it("is edited where it is UTF-8, whatever stands in its comments", async () => {
    await writeFile(source, `# caf\u00e9 \u{1f600}\n${good}`);
    assert.equal((await write()).length, 1);
    assert.deepEqual(await written(), ["etc"]);
  });

  it("is refused for one byte that is not UTF-8, which an edit would not give back", async () => {
    await writeFile(source, Buffer.concat([Buffer.from("# caf\xe9\n", "latin1"), Buffer.from(good)]));
    await assert.rejects(write(), { code: "NoBootstrap", message: /can't read .*envoy\.yaml: .*utf-8/i });
    assert.deepEqual(await written(), []);
  });

  it("is not read where it is larger than any that is edited", async () => {
    await writeFile(source, good);
    await truncate(source, MAX_BOOTSTRAP_LENGTH + 1);
    const message = new RegExp(`it has ${MAX_BOOTSTRAP_LENGTH + 1} bytes, at most ${MAX_BOOTSTRAP_LENGTH} are read`);
    await assert.rejects(write(), { code: "NoBootstrap", message });
    await writeFile(source, `${good}#${"x".repeat(MAX_BOOTSTRAP_LENGTH - Buffer.byteLength(good) - 1)}`);
    assert.equal((await write()).length, 1);
  });
});
