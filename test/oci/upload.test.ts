import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { blobOf } from "../../src/oci/push.ts";
import { type Registry, startRegistry } from "../environment/registry/registry.ts";
import { frontOf, type Interference } from "./front.ts";
import { coded, collect, type Script, Stage } from "./scripted-server.ts";

const BLOB = randomBytes(1000);
const SOURCE = blobOf(BLOB);
const DESCRIPTOR = { mediaType: "application/octet-stream", digest: SOURCE.digest, size: SOURCE.size };
const CHUNKED = { uploads: { wholeBytes: 100, chunkBytes: 400 } };
const credentials = () => [{ kind: "password", username: "robot", password: "secret" }] as const;

describe("RegistryClient.pushBlob", () => {
  const stage = new Stage();
  let registry: Registry;
  beforeEach(async () => {
    registry = await startRegistry();
  });
  afterEach(async () => {
    await stage.clear();
    await registry.close();
  });

  const behind = (interfere: Interference) => stage.serve(frontOf(registry, interfere));
  const push = (server: { readonly address: string }, options = {}, from: string | null = null, source = SOURCE) =>
    stage.client([server], options).pushBlob(server.address, "team/filter", source, undefined, from);
  const pushed = () => collect(stage.client([registry]).blob(registry.address, "team/filter", DESCRIPTOR));
  const methods = () => registry.requests.map(line => line.split(" ")[0]);

  describe("in one piece", () => {
    it("begins anew where the connection broke", async () => {
      let left = 2;
      const server = await stage.serve((request, response, body) => {
        if (request.method === "PUT" && left-- > 0) return void response.destroy();
        frontOf(registry, () => null)(request, response, body);
      });
      await push(server);
      assert.deepEqual(await pushed(), BLOB);
    });

    it("says at once, and not of the registry, that the blob can't be read", async () => {
      const server = await behind(() => null);
      const missing = async function* () {
        yield BLOB.subarray(0, 10);
        throw new Error("the folder lacks it");
      };
      await assert.rejects(
        push(server, {}, null, { ...SOURCE, open: missing }),
        coded("Rejected", /what was to be sent could not be read: the folder lacks it/),
      );
      assert.equal(server.seen.filter(({ method }) => method === "POST").length, 1);
    });

    it("gives up after as many tries as any request has", async () => {
      const server = await behind(({ method }) => (method === "PUT" ? { status: 503 } : null));
      await assert.rejects(push(server), coded("Server"));
      assert.equal(server.seen.filter(({ method }) => method === "PUT").length, 4);
    });

    it("goes over to chunks where the registry finds it too large", async () => {
      const server = await behind((_request, body) => (body.length > 500 ? { status: 413 } : null));
      await push(server, { uploads: { chunkBytes: 400 } });
      assert.deepEqual(await pushed(), BLOB);
    });
  });

  describe("in chunks", () => {
    it("sends what is larger than one piece may be", async () => {
      await push(registry, CHUNKED);
      assert.deepEqual(await pushed(), BLOB);
      assert.deepEqual(methods().slice(0, 6), ["HEAD", "POST", "PATCH", "PATCH", "PATCH", "PUT"]);
    });

    it("cuts a source of any chunks into its own", async () => {
      for (const size of [1, 7, 399, 400, 401, 1000]) {
        const other = await startRegistry();
        const source = {
          ...SOURCE,
          async *open() {
            for (let at = 0; at < BLOB.length; at += size) yield BLOB.subarray(at, at + size);
          },
        };
        await push(other, CHUNKED, null, source);
        assert.equal(other.requests.filter(line => line.startsWith("PATCH")).length, 3);
        await other.close();
      }
    });

    it("asks how far it came where a chunk was lost, and goes on from there", async () => {
      let patches = 0;
      const server = await stage.serve((request, response, body) => {
        patches += request.method === "PATCH" ? 1 : 0;
        // The second chunk arrives, and its answer does not; the third does not arrive.
        if (request.method === "PATCH" && patches === 3) return void response.destroy();
        const lost = request.method === "PATCH" && patches === 2;
        if (!lost) return frontOf(registry, () => null)(request, response, body);
        fetch(`http://${registry.address}${request.url}`, { method: "PATCH", body }).then(() => response.destroy());
      });
      await push(server, CHUNKED);
      assert.deepEqual(await pushed(), BLOB);
      const seen = server.seen.map(({ method, body }) => `${method} ${body.length}`);
      assert.deepEqual(seen, [
        "HEAD 0",
        "POST 0",
        "PATCH 400",
        "PATCH 400",
        "GET 0",
        "PATCH 200",
        "GET 0",
        "PATCH 200",
        "PUT 0",
      ]);
    });

    it("goes back where the registry lost what it had confirmed", async () => {
      let confirmed = false;
      const server = await behind((request, body) => {
        if (request.method !== "PATCH" || confirmed || body.length !== 400) return null;
        confirmed = true;
        return { status: 202, headers: { location: request.url ?? "", range: "0-399" } };
      });
      await push(server, CHUNKED);
      assert.deepEqual(await pushed(), BLOB);
    });

    it("ends where the registry never has what it was sent", async () => {
      for (const answer of [
        { status: 416 },
        { status: 202, headers: { location: "/x", range: "0-0" } },
        { status: 500 },
      ]) {
        const server = await behind(({ method }) => {
          if (method === "PATCH") return answer;
          return method === "GET" ? { status: 204, headers: { range: "0-0" } } : null;
        });
        await assert.rejects(push(server, CHUNKED), /.*/);
        assert.ok(server.seen.filter(({ method }) => method === "PATCH").length <= 4, JSON.stringify(answer));
      }
    });

    const lies = ["0-1000", "5-10", "x", "0-99999999999999999999", ""];
    for (const range of lies) {
      it(`believes no progress of ${JSON.stringify(range)}`, async () => {
        const server = await behind(({ method }) => {
          if (method === "PATCH") return { status: 416 };
          return method === "GET" ? { status: 204, headers: { range } } : null;
        });
        await assert.rejects(push(server, CHUNKED), coded("BadResponse"));
      });
    }

    it("goes over to one piece where the registry takes no chunks", async () => {
      for (const status of [400, 405, 415]) {
        const other = await startRegistry();
        const server = await stage.serve(frontOf(other, ({ method }) => (method === "PATCH" ? { status } : null)));
        await push(server, CHUNKED);
        assert.ok(other.requests.some(line => line.startsWith("PUT")));
        await other.close();
      }
    });

    it("sends no chunk smaller than the registry takes", async () => {
      const server = await stage.serve((request, response, body) => {
        if (request.method !== "POST") return frontOf(registry, () => null)(request, response, body);
        fetch(`http://${registry.address}${request.url}`, { method: "POST" }).then(answer => {
          const location = answer.headers.get("location") ?? "";
          response.writeHead(202, { location, "oci-chunk-min-length": "600" }).end();
        });
      });
      await push(server, CHUNKED);
      const sizes = server.seen.filter(({ method }) => method === "PATCH").map(({ body }) => body.length);
      assert.deepEqual(sizes, [600, 400]);
    });

    it("sends the whole to a registry whose smallest chunk is more than memory should hold", async () => {
      const server = await stage.serve((request, response) => {
        if (request.method === "HEAD") return void response.writeHead(404).end();
        if (request.method !== "POST") return void response.writeHead(201).end();
        response.writeHead(202, { location: "/up", "oci-chunk-min-length": "999999999999" }).end();
      });
      await push(server, CHUNKED);
      assert.deepEqual(server.seen.at(-1)?.body, BLOB);
    });

    it("takes a lost answer to the last request for a yes where the blob is there", async () => {
      const server = await stage.serve((request, response, body) => {
        if (request.method !== "PUT") return frontOf(registry, () => null)(request, response, body);
        fetch(`http://${registry.address}${request.url}`, { method: "PUT" }).then(() => response.destroy());
      });
      await push(server, CHUNKED);
      assert.deepEqual(await pushed(), BLOB);
    });

    it("refuses a source that has not the size it says", async () => {
      const source = { ...SOURCE, size: 1200 };
      await assert.rejects(push(registry, CHUNKED, null, source), coded("SizeMismatch"));
    });

    it("sends chunks to another host without the credentials", async () => {
      const storage = await stage.serve((request, response) => {
        const done = request.method === "PATCH" ? 202 : 201;
        response.writeHead(done, { location: "/next" }).end();
      });
      const asking: Script = (request, response) => {
        if (request.headers.authorization === undefined) {
          return void response.writeHead(401, { "www-authenticate": "Basic realm=x" }).end();
        }
        if (request.method === "HEAD") return void response.writeHead(404).end();
        response.writeHead(202, { location: `http://${storage.address}/put` }).end();
      };
      const server = await stage.serve(asking);
      const client = stage.client([server, storage], { ...CHUNKED, credentials });
      await client.pushBlob(server.address, "team/filter", SOURCE);
      assert.ok(server.seen.some(({ authorization }) => authorization !== null));
      assert.deepEqual(
        storage.seen.map(({ method, authorization }) => [method, authorization]),
        [
          ["PATCH", null],
          ["PATCH", null],
          ["PATCH", null],
          ["PUT", null],
        ],
      );
    });
  });

  describe("from another repository", () => {
    it("mounts what is there, and sends nothing", async () => {
      await stage.client([registry]).pushBlob(registry.address, "team/other", SOURCE);
      const before = registry.requests.length;
      await push(registry, {}, "team/other");
      assert.deepEqual(await pushed(), BLOB);
      const query = `mount=${encodeURIComponent(SOURCE.digest)}&from=team%2Fother`;
      assert.deepEqual(registry.requests.slice(before, -1), [
        `HEAD /v2/team/filter/blobs/${SOURCE.digest}`,
        `POST /v2/team/filter/blobs/uploads/?${query}`,
      ]);
    });

    it("uploads what isn't, in one piece or in chunks", async () => {
      await push(registry, {}, "team/other");
      assert.deepEqual(await pushed(), BLOB);
      const other = await startRegistry();
      await push(other, CHUNKED, "team/other");
      assert.ok(other.requests.some(line => line.startsWith("PATCH")));
      await other.close();
    });

    it("takes only the name of a repository", async () => {
      for (const from of ["../x", "a?b=c", "A", "", "a:v1"]) {
        await assert.rejects(push(registry, {}, from));
      }
      assert.deepEqual(registry.requests, []);
    });

    it("takes no 201 for an upload that was not to be mounted", async () => {
      const server = await behind(({ method }) => (method === "POST" ? { status: 201 } : null));
      await assert.rejects(push(server), coded("BadResponse"));
    });
  });
});
