import assert from "node:assert/strict";
import { ProgressLine, progressText } from "../../src/cli/progress-line.ts";

describe("progress line", () => {
  function terminal(columns = 80) {
    const written: string[] = [];
    return { written, columns, write: (text: string) => written.push(text) };
  }

  it("says how far all transfers are, and how fast", () => {
    assert.equal(
      progressText("pulling", 512 * 1024, 2 * 1024 * 1024, 2),
      "pulling [######------------------] 512 KiB of 2.00 MiB, 256 KiB/s",
    );
    assert.equal(progressText("pulling", 0, 0, 0), `pulling [${"-".repeat(24)}] 0 B of 0 B`);
    assert.match(progressText("pulling", 30, 20, 1), /\[#{24}\] 20 B of 20 B/);
  });

  it("draws over itself, ten times a second at most, and goes away", () => {
    let now = 0;
    const screen = terminal();
    const line = new ProgressLine(screen, { doing: "pulling", now: () => now });
    line.started({ size: 100 });
    line.moved(50);
    assert.equal(screen.written.length, 1);
    now = 100;
    line.moved(25);
    assert.ok(screen.written[1]?.startsWith(`\r\x1b[Kpulling [${"#".repeat(18)}------] 75 B of 100 B`));
    line.clear();
    line.clear();
    assert.deepEqual(screen.written.slice(2), ["\r\x1b[K"]);
  });

  it("never fills a terminal's line, which would scroll", () => {
    const screen = terminal(20);
    new ProgressLine(screen, { doing: "pulling", now: () => 0 }).started({ size: 1 });
    assert.equal(screen.written[0]?.length, "\r\x1b[K".length + 19);
  });
});
