import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { digestOf } from "../../src/oci/digest.ts";
import { coded, collect, type Script, type ScriptedServer, Stage } from "./scripted-server.ts";

const BLOB = randomBytes(1000);
const DESCRIPTOR = { mediaType: "application/wasm", digest: digestOf(BLOB), size: BLOB.length };

type Answer = (response: Parameters<Script>[1], from: number) => void;

/** All that is left, from the byte asked for. */
const rest: Answer = (response, from) => {
  const range = `bytes ${from}-${BLOB.length - 1}/${BLOB.length}`;
  response.writeHead(from === 0 ? 200 : 206, {
    "content-length": String(BLOB.length - from),
    ...(from === 0 ? {} : { "content-range": range }),
  });
  response.end(BLOB.subarray(from));
};
/** So many bytes more, then the connection breaks. */
const breakingAfter =
  (count: number): Answer =>
  (response, from) => {
    const range = `bytes ${from}-${BLOB.length - 1}/${BLOB.length}`;
    response.writeHead(from === 0 ? 200 : 206, {
      "content-length": String(BLOB.length - from),
      ...(from === 0 ? {} : { "content-range": range }),
    });
    response.write(BLOB.subarray(from, from + count), () => response.destroy());
  };

describe("a blob whose connection breaks off", () => {
  const stage = new Stage();
  afterEach(() => stage.clear());

  const ranges: (string | undefined)[] = [];
  beforeEach(() => void ranges.splice(0));

  /** A server that answers the n-th request with the n-th answer, and all others with the last. */
  const serving = (...answers: Answer[]): Promise<ScriptedServer> =>
    stage.serve((request, response) => {
      const answer = answers[Math.min(ranges.length, answers.length - 1)];
      ranges.push(request.headers.range);
      answer?.(response, Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? "")?.[1] ?? 0));
    });
  const fetched = (server: ScriptedServer, options = {}) =>
    collect(stage.client([server], options).blob(server.address, "a", DESCRIPTOR));

  it("goes on where it was, with the hash over the whole", async () => {
    const server = await serving(breakingAfter(300), breakingAfter(200), rest);
    assert.deepEqual(await fetched(server), BLOB);
    assert.deepEqual(ranges, [undefined, "bytes=300-", "bytes=500-"]);
  });

  it("skips what it has where the server knows no ranges", async () => {
    const server = await serving(breakingAfter(300), response => rest(response, 0));
    assert.deepEqual(await fetched(server), BLOB);
    assert.equal(ranges.length, 2);
  });

  it("goes on where a body without a length just ends", async () => {
    const short: Answer = response => {
      response.writeHead(200, { connection: "close" });
      response.end(BLOB.subarray(0, 10));
    };
    assert.deepEqual(await fetched(await serving(short, rest)), BLOB);
    assert.deepEqual(ranges, [undefined, "bytes=10-"]);
  });

  it("is whole where that was behind the last byte", async () => {
    const unended: Answer = response => {
      response.writeHead(200, { "transfer-encoding": "chunked" });
      response.write(BLOB, () => response.destroy());
    };
    assert.deepEqual(await fetched(await serving(unended)), BLOB);
    assert.deepEqual(ranges, [undefined]);
  });

  it("ends after as many tries as any request has, whatever the progress", async () => {
    await assert.rejects(fetched(await serving(breakingAfter(10))), coded("Unreachable"));
    assert.deepEqual(ranges, [undefined, "bytes=10-", "bytes=20-", "bytes=30-"]);
  });

  it("waits as long as the registry asks", async () => {
    const waits: number[] = [];
    const busy: Answer = response => void response.writeHead(503, { "retry-after": "3" }).end();
    const server = await serving(breakingAfter(10), busy, rest);
    assert.deepEqual(await fetched(server, { sleep: async (ms: number) => void waits.push(ms) }), BLOB);
    assert.deepEqual(waits, [125, 3000]);
  });

  it("ends with the operation's time, however often it may try", async () => {
    const silent: Answer = response => {
      response.writeHead(200, { "content-length": String(BLOB.length) });
      response.write(BLOB.subarray(0, 10));
    };
    await assert.rejects(fetched(await serving(silent), { deadlineMs: 200 }), coded("Timeout"));
    assert.equal(ranges.length, 1);
  });

  it("finds other bytes after the break by the hash of all of them", async () => {
    const other: Answer = (response, from) => {
      response.writeHead(206, { "content-range": `bytes ${from}-${BLOB.length - 1}/${BLOB.length}` });
      response.end(Buffer.alloc(BLOB.length - from));
    };
    await assert.rejects(fetched(await serving(breakingAfter(300), other)), coded("DigestMismatch"));
  });

  const wrong: readonly (readonly [what: string, range: string | undefined, length?: number, code?: string])[] = [
    ["no Content-Range", undefined],
    ["another start", "bytes 299-999/1000"],
    ["another end", "bytes 300-998/1000"],
    ["another size", "bytes 300-999/1001"],
    ["another unit", "chars 300-999/1000"],
    ["several parts", "bytes 300-400,500-999/1000"],
    ["another length than its range", "bytes 300-999/1000", 701, "SizeMismatch"],
  ];
  for (const [what, range, length = 700, code = "BadResponse"] of wrong) {
    it(`takes no part with ${what}`, async () => {
      const part: Answer = response => {
        const given = range === undefined ? {} : { "content-range": range };
        response.writeHead(206, { ...given, "content-length": String(length) });
        response.end(Buffer.alloc(length));
      };
      await assert.rejects(fetched(await serving(breakingAfter(300), part)), coded(code));
      assert.equal(ranges.length, 2);
    });
  }

  it("takes a part where it asked for the whole for no answer", async () => {
    const part: Answer = response => {
      response.writeHead(206, { "content-range": "bytes 0-999/1000", "content-length": "1000" }).end(BLOB);
    };
    await assert.rejects(fetched(await serving(part)), coded("BadResponse"));
  });

  it("takes a size that is not known for right", async () => {
    const unsized: Answer = (response, from) => {
      response.writeHead(206, { "content-range": `bytes ${from}-999/*` }).end(BLOB.subarray(from));
    };
    assert.deepEqual(await fetched(await serving(breakingAfter(300), unsized)), BLOB);
  });
});
