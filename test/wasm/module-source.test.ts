import assert from "node:assert/strict";
import { closeSync, mkdtempSync, openSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { checkModule } from "../../src/wasm/check.ts";
import { bytesSource, fileSource } from "../../src/wasm/module-source.ts";
import { filter } from "./filter.ts";

const options = { envoyVersion: "1.40" };

describe("module source", () => {
  let folder: string;
  let path: string;
  let descriptor: number;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "wasmount-source-"));
    path = join(folder, "filter.wasm");
  });

  afterEach(() => {
    closeSync(descriptor);
    rmSync(folder, { recursive: true });
  });

  it("gives the same report for a file as for its bytes", () => {
    const module = filter({ imports: [["env", "proxy_lgo", "iii:i"]] });
    writeFileSync(path, module);
    descriptor = openSync(path, "r");
    assert.deepEqual(checkModule(fileSource(descriptor), options), checkModule(bytesSource(module), options));
  });

  it("reads where it is told, wherever the descriptor stands, and less at the end", () => {
    writeFileSync(path, Uint8Array.from([1, 2, 3, 4, 5]));
    descriptor = openSync(path, "r");
    const source = fileSource(descriptor);
    assert.equal(source.size, 5);
    assert.deepEqual([...source.read(3, 2)], [4, 5]);
    assert.deepEqual([...source.read(0, 2)], [1, 2]);
    assert.deepEqual([...source.read(4, 10)], [5]);
  });

  it("refuses a file that shrinks while it is read", () => {
    writeFileSync(path, filter());
    descriptor = openSync(path, "r");
    const source = fileSource(descriptor);
    truncateSync(path, 20);
    const [problem] = checkModule(source, options).problems;
    assert.equal(problem?.code, "Truncated");
  });
});
