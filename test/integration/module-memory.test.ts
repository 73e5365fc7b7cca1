import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { mkdtemp, open, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { spawnChecked } from "../environment/spawn.ts";

const MIB = 1024 * 1024;
/** Of Node with nothing to do but strip the types of these sources. */
const NODE = 90 * MIB;

describe("a large module", function () {
  this.timeout(10 * 60_000);
  let folder: string;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "wasmount-memory-"));
  });

  after(() => rm(folder, { recursive: true, force: true }));

  /** A module's header, and then what no compression makes smaller. */
  async function write(mebibytes: number): Promise<{ path: string; sha256: string }> {
    const path = join(folder, `${mebibytes}.wasm`);
    const hash = createHash("sha256");
    const file = await open(path, "w");
    const block = randomBytes(MIB);
    for (let count = 0; count < mebibytes; count += 1) {
      block.set(count === 0 ? Buffer.from("\0asm\x01\0\0\0", "latin1") : [count & 0xff]);
      hash.update(block);
      await file.write(block);
    }
    await file.close();
    return { path, sha256: hash.digest("hex") };
  }

  for (const [layout, mebibytes] of [
    ["cncf", 256],
    ["compat", 128],
  ] as const) {
    it(`goes into a ${layout} image and out of it again without ever being in memory: ${mebibytes} MiB`, async () => {
      const { path, sha256 } = await write(mebibytes);
      const script = join(import.meta.dirname, "module-memory.ts");
      const { moduleSize, moduleSha256, peakBytes } = JSON.parse(
        await spawnChecked(process.execPath, [script, path, layout]),
      );
      assert.deepEqual([moduleSize, moduleSha256], [mebibytes * MIB, sha256]);
      // Half of it leaves room for buffers that wait for the garbage collector, and none for the module.
      assert.ok(peakBytes < NODE + (mebibytes * MIB) / 2, `the process had ${Math.round(peakBytes / MIB)} MiB`);
    });
  }
});
