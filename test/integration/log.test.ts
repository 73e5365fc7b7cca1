import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";

const LOG = fileURLToPath(new URL("../../src/observe/log.ts", import.meta.url));

describe("the log", () => {
  /** What a process that logs writes to stderr. */
  function written(program: string): string[] {
    const source = `const { createLogger } = await import(${JSON.stringify(LOG)}); const log = createLogger("info"); ${program}`;
    const { stderr } = spawnSync(process.execPath, ["--input-type=module", "-e", source], { encoding: "utf8" });
    return stderr.split("\n").filter(line => line !== "");
  }

  it("has a line for each thing that was said, in its order", () => {
    const lines = written(`
      for (let n = 0; n < 5; n += 1) log.info({ n }, "said");
      log.debug("not heard");
      await new Promise(resolve => setTimeout(resolve, 1));
      log.warn({ n: 5 }, "said");
    `).map(line => JSON.parse(line));
    assert.deepEqual(
      lines.map(({ level, n, msg }) => [level, n, msg]),
      [0, 1, 2, 3, 4, 5].map(n => [n < 5 ? "info" : "warn", n, "said"]),
    );
  });

  it("says when, in ISO 8601 with milliseconds", () => {
    const before = Date.now();
    const [line = "{}"] = written(`log.info("now");`);
    const { time } = JSON.parse(line);
    assert.equal(new Date(time).toISOString(), time);
    assert.ok(Date.parse(time) >= before && Date.parse(time) <= Date.now(), time);
  });

  it("is written to the end where the process ends at once, on purpose or not", () => {
    for (const end of ["process.exit(1);", 'throw new Error("unforeseen");']) {
      const lines = written(`log.info("last words"); ${end}`);
      assert.ok(
        lines.some(line => line.includes('"msg":"last words"')),
        `${end}: ${lines.join("; ")}`,
      );
    }
  });

  it("doesn't wait for a turn to end that says very much", () => {
    const lines = written(
      `for (let n = 0; n < 2000; n += 1) log.info({ n }, "x".repeat(100)); process.kill(process.pid, "SIGKILL");`,
    );
    assert.ok(lines.length > 1000, `${lines.length} lines`);
  });
});
