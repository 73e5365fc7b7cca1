import assert from "node:assert/strict";
import { digestOf } from "../../src/oci/digest.ts";
import { RegistryError } from "../../src/oci/error.ts";
import { OCI_EMPTY, OCI_INDEX, OCI_MANIFEST } from "../../src/oci/media-types.ts";
import { parseReference } from "../../src/oci/reference.ts";
import { coded, collect, type Script, type ScriptedServer, Stage } from "./scripted-server.ts";

const EMPTY = { mediaType: OCI_EMPTY, digest: digestOf(Buffer.from("{}")), size: 2 };
const MANIFEST = Buffer.from(
  JSON.stringify({ schemaVersion: 2, mediaType: OCI_MANIFEST, config: EMPTY, layers: [EMPTY] }),
);
const DIGEST = digestOf(MANIFEST);
const OTHER = digestOf(Buffer.from("other"));
const BLOB = Buffer.from("a blob of some bytes");
const DESCRIPTOR = { mediaType: "application/wasm", digest: digestOf(BLOB), size: BLOB.length };

const serving =
  (body: Buffer | string, headers: Readonly<Record<string, string>> = {}, status = 200): Script =>
  (request, response) => {
    response.writeHead(status, { "content-length": String(Buffer.byteLength(body)), ...headers });
    response.end(request.method === "HEAD" ? undefined : body);
  };
const manifest = (headers: Readonly<Record<string, string>> = {}) =>
  serving(MANIFEST, { "content-type": OCI_MANIFEST, "docker-content-digest": DIGEST, ...headers });

describe("RegistryClient", () => {
  const stage = new Stage();
  afterEach(() => stage.clear());

  const reference = (server: ScriptedServer, rest = ":v1") => parseReference(`${server.address}/team/filter${rest}`);
  const fetchManifest = (server: ScriptedServer, digestOrTag = DIGEST) =>
    stage.client([server]).manifest(server.address, "team/filter", digestOrTag);
  const fetchBlob = (server: ScriptedServer, descriptor = DESCRIPTOR, options = {}) =>
    collect(stage.client([server], options).blob(server.address, "team/filter", descriptor));

  describe("resolve", () => {
    it("takes a complete answer to HEAD", async () => {
      const server = await stage.serve(manifest());
      const resolved = await stage.client([server]).resolve(reference(server));
      assert.deepEqual(resolved, { mediaType: OCI_MANIFEST, digest: DIGEST, size: MANIFEST.length });
      assert.deepEqual(
        server.seen.map(({ method, url }) => `${method} ${url}`),
        ["HEAD /v2/team/filter/manifests/v1"],
      );
    });

    it("asks for the digest where there is a tag too, and for latest where there is neither", async () => {
      const server = await stage.serve(manifest());
      const client = stage.client([server]);
      await client.resolve(reference(server, `:v1@${DIGEST}`));
      await client.resolve(reference(server, ""));
      const urls = server.seen.map(({ url }) => url.replace("/v2/team/filter/manifests/", ""));
      assert.deepEqual(urls, [DIGEST, "latest"]);
    });

    const incomplete: readonly (readonly [what: string, headers: Readonly<Record<string, string>>])[] = [
      ["no digest", { "docker-content-digest": "" }],
      ["a digest that is a path", { "docker-content-digest": "sha256:../../../etc" }],
      ["no media type of a manifest", { "content-type": "text/plain" }],
    ];
    for (const [what, headers] of incomplete) {
      it(`hashes the manifest itself where HEAD gives ${what}`, async () => {
        const server = await stage.serve((request, response, body) =>
          manifest(request.method === "HEAD" ? headers : {})(request, response, body),
        );
        assert.equal((await stage.client([server]).resolve(reference(server))).digest, DIGEST);
        assert.deepEqual(
          server.seen.map(({ method }) => method),
          ["HEAD", "GET"],
        );
      });
    }

    it("refuses another digest than it asked for", async () => {
      const server = await stage.serve(manifest({ "docker-content-digest": OTHER }));
      const resolving = stage.client([server]).resolve(reference(server, `@${DIGEST}`));
      await assert.rejects(resolving, coded("DigestMismatch"));
    });
  });

  describe("manifest", () => {
    it("goes by the bytes, not by Docker-Content-Digest", async () => {
      const lying = await stage.serve(manifest({ "docker-content-digest": OTHER }));
      assert.equal((await fetchManifest(lying, "v1")).digest, DIGEST);
      await assert.rejects(fetchManifest(lying, OTHER), coded("DigestMismatch"));
    });

    it("refuses a Content-Type that is not the manifest's own", async () => {
      const server = await stage.serve(manifest({ "content-type": OCI_INDEX }));
      await assert.rejects(fetchManifest(server), coded("BadManifest"));
    });

    it("refuses one larger than allowed", async () => {
      const server = await stage.serve(manifest());
      const client = stage.client([server], { limits: { manifestBytes: MANIFEST.length - 1 } });
      await assert.rejects(client.manifest(server.address, "team/filter", DIGEST), coded("TooLarge"));
    });

    it("asks nothing under a name or a digest that would leave its path", async () => {
      const server = await stage.serve(manifest());
      const client = stage.client([server]);
      const { address } = server;
      const attempts: readonly (() => Promise<unknown>)[] = [
        async () => client.manifest(address, "team/filter", "sha256:../../other"),
        async () => client.manifest(address, "team/filter", "../blobs/x"),
        async () => client.manifest(address, "team/filter", "v1?x=y"),
        async () => client.manifest(address, "team/filter", ""),
        async () => client.manifest(address, "../filter", "v1"),
        async () => client.manifest(address, "team/filter:v1", "v1"),
        async () => client.manifest(`${address}/x`, "filter", "v1"),
        async () => client.manifest(`user@${address}`, "filter", "v1"),
        async () => collect(client.blob(address, "a", { ...DESCRIPTOR, digest: "sha256:../../x" })),
        async () => client.pushManifest(address, "a", "..", { bytes: MANIFEST, mediaType: OCI_MANIFEST }),
      ];
      for (const attempt of attempts) await assert.rejects(attempt);
      assert.deepEqual(server.seen, []);
    });

    it("tries again what may pass, and only that", async () => {
      let failures = 2;
      const shaky = await stage.serve((request, response, body) => {
        failures -= 1;
        if (failures === 1)
          return serving("busy", { "retry-after": "2", connection: "close" }, 503)(request, response, body);
        if (failures === 0) return void response.destroy();
        manifest()(request, response, body);
      });
      const waits: number[] = [];
      const sleep = async (milliseconds: number) => void waits.push(milliseconds);
      const fetched = await stage.client([shaky], { sleep }).manifest(shaky.address, "team/filter", DIGEST);
      assert.equal(fetched.digest, DIGEST);
      assert.deepEqual(waits, [2000, 250]);

      const missing = await stage.serve(serving("", {}, 404));
      await assert.rejects(fetchManifest(missing), coded("NotFound"));
      assert.equal(missing.seen.length, 1);
    });

    const meanings: readonly (readonly [status: number, code: string, requests: number])[] = [
      [400, "Rejected", 1],
      [403, "Denied", 1],
      [404, "NotFound", 1],
      [408, "Server", 4],
      [429, "RateLimited", 4],
      [500, "Server", 4],
      [204, "BadResponse", 1],
    ];
    for (const [status, code, requests] of meanings) {
      it(`gives ${status} its meaning`, async () => {
        const server = await stage.serve(serving("", {}, status));
        await assert.rejects(fetchManifest(server), coded(code));
        assert.equal(server.seen.length, requests);
      });
    }

    it("keeps the registry's words out of the message, and clean and short in the detail", async () => {
      const text = `no \u001b[31mentry\u0000\u202e\r\n${"x".repeat(10_000)}`;
      const body = JSON.stringify({ errors: [{ code: "MANIFEST_UNKNOWN", message: "evil words" }], text });
      const long = await stage.serve(serving(text, {}, 404));
      const spoken = await stage.serve(serving(body.slice(0, 60).padEnd(60), {}, 404));
      await assert.rejects(fetchManifest(long), (error: unknown) => {
        assert.ok(error instanceof RegistryError);
        assert.match(error.detail ?? "", /^no \[31mentry x+…$/);
        assert.ok((error.detail ?? "").length <= 301);
        assert.ok(!error.message.includes("entry"));
        return true;
      });
      await assert.rejects(
        fetchManifest(spoken),
        (error: unknown) => error instanceof RegistryError && !error.message.includes("evil"),
      );
    });

    it("reads no more of an endless error than it may keep", async () => {
      const server = await stage.serve((_request, response) => {
        response.writeHead(404);
        const more = () => {
          while (!response.destroyed && response.write("x".repeat(1024)));
        };
        response.on("drain", more);
        more();
      });
      await assert.rejects(fetchManifest(server), coded("NotFound"));
    });

    it("repeats an error code of the specification, and no other", async () => {
      const known = await stage.serve(serving('{"errors":[{"code":"MANIFEST_UNKNOWN"}]}', {}, 404));
      const unknown = await stage.serve(serving('{"errors":[{"code":"EVIL"}]}', {}, 404));
      await assert.rejects(fetchManifest(known), coded("NotFound", /404 MANIFEST_UNKNOWN/));
      await assert.rejects(fetchManifest(unknown), coded("NotFound", /\(404\)/));
    });

    it("says what it was about", async () => {
      const server = await stage.serve(serving("", {}, 404));
      await assert.rejects(fetchManifest(server), (error: unknown) => {
        assert.ok(error instanceof RegistryError);
        assert.deepEqual([error.registry, error.operation, error.status], [server.address, "manifest", 404]);
        assert.equal(
          error.message,
          `cannot fetch the manifest of ${server.address}/team/filter@${DIGEST}: ${server.address} has nothing by this name (404)`,
        );
        return true;
      });
    });

    it("ends a body that only drips when the operation's time is over", async () => {
      const server = await stage.serve((_request, response) => {
        response.writeHead(200, { "content-type": OCI_MANIFEST });
        const timer = setInterval(() => response.write(" "), 5);
        response.on("close", () => clearInterval(timer));
      });
      const client = stage.client([server], { deadlineMs: 100 });
      await assert.rejects(client.manifest(server.address, "team/filter", DIGEST), coded("Timeout"));
      assert.equal(server.seen.length, 1);
    });

    it("ends with the client's own signal and with the caller's", async () => {
      const silent = await stage.serve(() => {});
      const whole = stage.client([silent], { signal: AbortSignal.timeout(20) });
      await assert.rejects(whole.manifest(silent.address, "a", DIGEST), coded("Timeout"));
      const calling = stage.client([silent]).manifest(silent.address, "a", DIGEST, AbortSignal.abort());
      await assert.rejects(calling, coded("Cancelled"));
    });

    it("speaks TLS to a registry that was not named", async () => {
      const server = await stage.serve(manifest());
      const client = stage.client([]);
      await assert.rejects(client.manifest(server.address, "team/filter", DIGEST), coded("Unreachable"));
      assert.deepEqual(server.seen, []);
    });
  });

  describe("blob", () => {
    it("streams a blob, redirected or not", async () => {
      const storage = await stage.serve(serving(BLOB));
      const server = await stage.serve((_request, response) => {
        response.writeHead(307, { location: `http://${storage.address}/signed?key=1` }).end();
      });
      assert.deepEqual(await fetchBlob(storage), BLOB);
      const redirected = stage.client([server, storage]).blob(server.address, "team/filter", DESCRIPTOR);
      assert.deepEqual(await collect(redirected), BLOB);
    });

    it("fails at the end of other bytes", async () => {
      const server = await stage.serve(serving(Buffer.from("A blob of some bytes")));
      await assert.rejects(fetchBlob(server), coded("DigestMismatch", /cannot fetch a blob of/));
    });

    it("refuses an announced size that is not the descriptor's before it yields a byte", async () => {
      const server = await stage.serve((_request, response) => {
        response.writeHead(200, { "content-length": String(2 * BLOB.length) });
        response.write(BLOB);
      });
      let chunks = 0;
      await assert.rejects(async () => {
        for await (const _ of stage.client([server]).blob(server.address, "a", DESCRIPTOR)) chunks += 1;
      }, coded("SizeMismatch"));
      assert.equal(chunks, 0);
    });

    it("stops an endless body at the descriptor's size", async () => {
      const server = await stage.serve((_request, response) => {
        const more = () => {
          while (!response.destroyed && response.write(BLOB));
        };
        response.on("drain", more);
        more();
      });
      await assert.rejects(fetchBlob(server), coded("SizeMismatch"));
    });

    it("fails where the connection breaks off", async () => {
      const server = await stage.serve((_request, response) => {
        response.writeHead(200, { "content-length": String(BLOB.length) });
        response.write(BLOB.subarray(0, 5), () => response.destroy());
      });
      await assert.rejects(fetchBlob(server), coded("Unreachable"));
    });

    it("asks for nothing larger than allowed", async () => {
      const server = await stage.serve(serving(BLOB));
      await assert.rejects(fetchBlob(server, DESCRIPTOR, { limits: { moduleBytes: 10 } }), coded("TooLarge"));
      assert.deepEqual(server.seen, []);
    });

    it("tells no query of a signed URL", async () => {
      const storage = await stage.serve(serving("", {}, 403));
      const server = await stage.serve((_request, response) => {
        response.writeHead(307, { location: `http://${storage.address}/x?signature=hunter2` }).end();
      });
      const blob = stage.client([server, storage]).blob(server.address, "team/filter", DESCRIPTOR);
      await assert.rejects(collect(blob), (error: unknown) => {
        coded("Denied")(error);
        return error instanceof Error && !JSON.stringify([error.message, error]).includes("hunter2");
      });
    });
  });

  describe("push", () => {
    const source = {
      digest: DESCRIPTOR.digest,
      size: BLOB.length,
      open: async function* () {
        yield BLOB;
      },
    };

    /** A registry without blobs, whose uploads go where it is told. */
    const uploading =
      (location: () => string): Script =>
      (request, response) => {
        const { method } = request;
        if (method === "HEAD") return void response.writeHead(404).end();
        if (request.headers.authorization === undefined && method === "POST") {
          return void response.writeHead(401, { "www-authenticate": "Basic realm=x" }).end();
        }
        if (method === "POST") return void response.writeHead(202, { location: location() }).end();
        response.writeHead(201).end();
      };
    const credentials = () => [{ kind: "password", username: "robot", password: "secret" }] as const;

    it("uploads in one piece where the registry says, keeping the Location's query", async () => {
      const server = await stage.serve(uploading(() => "/elsewhere?state=a%2Fb"));
      const client = stage.client([server], { credentials });
      await client.pushBlob(server.address, "team/filter", source);
      const put = server.seen.at(-1);
      assert.equal(put?.url, `/elsewhere?state=a%2Fb&digest=${encodeURIComponent(DESCRIPTOR.digest)}`);
      assert.deepEqual(put?.body, BLOB);
      assert.match(put?.authorization ?? "", /^Basic /);
    });

    it("uploads to another host without the credentials", async () => {
      const storage = await stage.serve((_request, response) => void response.writeHead(201).end());
      const server = await stage.serve(uploading(() => `http://${storage.address}/put?sig=1`));
      await stage.client([server, storage], { credentials }).pushBlob(server.address, "team/filter", source);
      assert.deepEqual(
        storage.seen.map(({ method, authorization }) => [method, authorization]),
        [["PUT", null]],
      );
    });

    it("gives another host no credentials even when it asks for them", async () => {
      const storage = await stage.serve((_request, response) => {
        response.writeHead(401, { "www-authenticate": "Basic realm=x" }).end();
      });
      const server = await stage.serve(uploading(() => `http://${storage.address}/put`));
      const client = stage.client([server, storage], { credentials });
      await assert.rejects(client.pushBlob(server.address, "team/filter", source), coded("Unauthorized"));
      assert.deepEqual(
        storage.seen.map(({ authorization }) => authorization),
        [null],
      );
    });

    it("uploads nothing to a host that may not be spoken to without TLS", async () => {
      const storage = await stage.serve((_request, response) => void response.writeHead(201).end());
      const server = await stage.serve(uploading(() => `http://${storage.address}/put`));
      const client = stage.client([server], { credentials });
      await assert.rejects(client.pushBlob(server.address, "team/filter", source), coded("UnsafeRedirect"));
      assert.deepEqual(storage.seen, []);
    });

    it("follows no redirect of a manifest", async () => {
      const other = await stage.serve((_request, response) => void response.writeHead(201).end());
      const server = await stage.serve((_request, response) => {
        response.writeHead(307, { location: `http://${other.address}/` }).end();
      });
      const pushing = stage
        .client([server, other])
        .pushManifest(server.address, "team/filter", "v1", { bytes: MANIFEST, mediaType: OCI_MANIFEST });
      await assert.rejects(pushing, coded("UnsafeRedirect"));
      assert.deepEqual(other.seen, []);
    });

    it("pushes no manifest under a digest that is not its own", async () => {
      const server = await stage.serve(serving(""));
      const pushing = stage
        .client([server])
        .pushManifest(server.address, "team/filter", OTHER, { bytes: MANIFEST, mediaType: OCI_MANIFEST });
      await assert.rejects(pushing, coded("DigestMismatch"));
      assert.deepEqual(server.seen, []);
    });
  });
});
