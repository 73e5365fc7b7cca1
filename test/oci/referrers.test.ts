import assert from "node:assert/strict";
import type { RegistryClient } from "../../src/oci/client.ts";
import type { Descriptor } from "../../src/oci/descriptor.ts";
import { digestOf, hexOf } from "../../src/oci/digest.ts";
import { OCI_EMPTY, OCI_INDEX, OCI_MANIFEST } from "../../src/oci/media-types.ts";
import { blobOf } from "../../src/oci/push.ts";
import { type Registry, startRegistry } from "../environment/registry/registry.ts";
import { frontOf, type Interference } from "./front.ts";
import { coded, type Script, type ScriptedServer, Stage } from "./scripted-server.ts";

const SIGNATURE = "application/vnd.example.signature";
const REPORT = "application/vnd.example.report";
const EMPTY = blobOf(Buffer.from("{}"));
const REPOSITORY = "team/filter";

const manifest = (more: object = {}) =>
  Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: OCI_MANIFEST,
      config: { mediaType: OCI_EMPTY, digest: EMPTY.digest, size: 2 },
      layers: [],
      ...more,
    }),
  );
const SUBJECT = manifest();
const DIGEST = digestOf(SUBJECT);
const subject = { mediaType: OCI_MANIFEST, digest: DIGEST, size: SUBJECT.length };
const signature = (name: string) => manifest({ artifactType: SIGNATURE, subject, annotations: { name } });
const entry = (name: string, artifactType = SIGNATURE): Descriptor => {
  const bytes = Buffer.from(name);
  return { mediaType: OCI_MANIFEST, digest: digestOf(bytes), size: bytes.length, artifactType };
};
const index = (entries: readonly object[] | null, more: object = {}) =>
  JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests: entries, ...more });
const indexed =
  (entries: readonly object[] | null, headers: Readonly<Record<string, string>> = {}): Script =>
  (_request, response) => {
    response.writeHead(200, { "content-type": OCI_INDEX, ...headers }).end(index(entries));
  };

describe("referrers", () => {
  const stage = new Stage();
  let registry: Registry;
  beforeEach(async () => {
    registry = await startRegistry();
  });
  afterEach(async () => {
    await stage.clear();
    await registry.close();
  });

  async function push(client: RegistryClient, address: string, bytes: Buffer, tag = digestOf(bytes)): Promise<string> {
    await client.pushBlob(address, REPOSITORY, EMPTY);
    const { digest } = await client.pushManifest(address, REPOSITORY, tag, { bytes, mediaType: OCI_MANIFEST });
    return digest;
  }

  /** The registry as one without the referrers API: what it doesn't know it refuses, and it sends no OCI-Subject. */
  const older = (interfere: Interference = () => null, refusal = 404) =>
    stage.serve(
      frontOf(
        registry,
        (request, body) =>
          interfere(request, body) ??
          (request.url?.includes("/referrers/")
            ? { status: refusal, headers: { "content-type": "text/plain" }, body: "404 page not found" }
            : null),
        "oci-subject",
      ),
    );

  const ask = (server: { readonly address: string }, type: string | null = null, limits = {}) =>
    stage.client([server], { limits }).referrers(server.address, REPOSITORY, DIGEST, type);

  describe("of a registry with the API", () => {
    it("lists what was pushed with the subject, and leaves the bookkeeping to the registry", async () => {
      const client = stage.client([registry]);
      await push(client, registry.address, SUBJECT);
      const digest = await push(client, registry.address, signature("a"));
      const found = await ask(registry);
      assert.deepEqual(
        found.map(one => [one.digest, one.artifactType, { ...one.annotations }]),
        [[digest, SIGNATURE, { name: "a" }]],
      );
      assert.ok(!registry.requests.some(line => line.startsWith("PUT") && line.includes("/sha256-")));
    });

    it("asks for a type, and filters itself whatever the registry claims", async () => {
      const server = await stage.serve(
        indexed([entry("a"), entry("b", REPORT)], { "oci-filters-applied": "artifactType" }),
      );
      assert.deepEqual(await ask(server, SIGNATURE), [entry("a")]);
      assert.match(server.seen[0]?.url ?? "", /\?artifactType=application%2Fvnd\.example\.signature$/);
    });

    it("reads every page", async () => {
      const server = await stage.serve((request, response, body) => {
        const second = request.url?.includes("page=2");
        const link = `</v2/${REPOSITORY}/referrers/${DIGEST}?page=2>; rel="next"`;
        indexed([entry(second ? "b" : "a")], second ? {} : { link })(request, response, body);
      });
      assert.deepEqual(await ask(server), [entry("a"), entry("b")]);
    });

    it("reads Go's null as none", async () => assert.deepEqual(await ask(await stage.serve(indexed(null))), []));

    it("refuses pages without end", async () => {
      const server = await stage.serve(indexed([], { link: `</v2/${REPOSITORY}/referrers/${DIGEST}>; rel="next"` }));
      await assert.rejects(ask(server), coded("TooLarge", /more than the 4 pages/));
      assert.equal(server.seen.length, 4);
    });

    it("refuses more than allowed, counting only the type asked for", async () => {
      const server = await stage.serve(indexed([entry("a"), entry("b"), entry("c", REPORT)]));
      await assert.rejects(ask(server, SIGNATURE, { referrers: 1 }), coded("TooLarge", /more than the 1 referrers/));
      assert.equal((await ask(server, SIGNATURE, { referrers: 2 })).length, 2);
      await assert.rejects(ask(server, null, { referrers: 2 }), coded("TooLarge"));
    });

    it("refuses a page of more entries than anybody needs", async () => {
      const many = Array.from({ length: 1025 }, (_, number) => entry(`${number}`, REPORT));
      await assert.rejects(ask(await stage.serve(indexed(many)), SIGNATURE), coded("TooLarge", /1024 entries/));
    });

    it("follows no page to another host", async () => {
      const other = await stage.serve(indexed([]));
      const server = await stage.serve(indexed([], { link: `<http://${other.address}/>; rel="next"` }));
      const asking = stage.client([server, other]).referrers(server.address, REPOSITORY, DIGEST);
      await assert.rejects(asking, coded("UnsafeRedirect"));
      assert.deepEqual(other.seen, []);
    });

    const hostile: readonly (readonly [what: string, body: string])[] = [
      ["a digest that is a path", index([{ ...entry("a"), digest: "sha256:../../etc" }])],
      ["an entry that is no descriptor", index(["a" as never])],
      ["a key twice", index([]).replace("{", '{"manifests":[],')],
      ["layers as well", '{"schemaVersion":2,"layers":[]}'],
      ["another media type", index([], { mediaType: OCI_MANIFEST })],
    ];
    for (const [what, body] of hostile) {
      it(`refuses ${what}`, async () => {
        const server = await stage.serve((_request, response) => {
          response.writeHead(200, { "content-type": OCI_INDEX }).end(body);
        });
        await assert.rejects(ask(server), coded("BadManifest"));
      });
    }

    it("takes no refusal of a later page for a registry without the API", async () => {
      const server = await stage.serve((request, response, body) => {
        if (request.url?.includes("page=2")) return void response.writeHead(404).end();
        indexed([entry("a")], { link: "<?page=2>; rel=next" })(request, response, body);
      });
      await assert.rejects(ask(server), coded("NotFound"));
    });

    it("takes no other failure for a registry without the API", async () => {
      for (const [status, code] of [
        [401, "Unauthorized"],
        [403, "Denied"],
        [500, "Server"],
      ] as const) {
        const server = await stage.serve((_request, response) => {
          response.writeHead(status, { "www-authenticate": "Basic realm=x" }).end();
        });
        await assert.rejects(ask(server), coded(code));
      }
    });

    it("asks only for what is a digest and a media type", async () => {
      const client = stage.client([registry]);
      await assert.rejects(client.referrers(registry.address, REPOSITORY, "v1"), coded("Rejected"));
      await assert.rejects(client.referrers(registry.address, REPOSITORY, DIGEST, "a&b=c"), coded("Rejected"));
      assert.deepEqual(registry.requests, []);
    });
  });

  describe("of a registry without it", () => {
    for (const status of [400, 404, 406, 200]) {
      it(`are those of the index under the fallback tag, where the API answers ${status}`, async () => {
        const server = await older(() => null, status);
        const client = stage.client([server]);
        assert.deepEqual(await ask(server), []);
        await push(client, server.address, SUBJECT);
        const first = await push(client, server.address, signature("a"));
        const second = await push(client, server.address, signature("b"));
        const report = await push(client, server.address, manifest({ subject, artifactType: REPORT }));
        const digests = async (type: string | null) => (await ask(server, type)).map(({ digest }) => digest);
        assert.deepEqual(await digests(null), [first, second, report]);
        assert.deepEqual(await digests(SIGNATURE), [first, second]);
      });
    }

    it("enters a manifest once, under its config's type where it has none of its own", async () => {
      const server = await older();
      const client = stage.client([server]);
      await push(client, server.address, SUBJECT);
      const bytes = manifest({ subject });
      await push(client, server.address, bytes);
      await push(client, server.address, bytes);
      assert.deepEqual(await ask(server), [
        { mediaType: OCI_MANIFEST, digest: digestOf(bytes), size: bytes.length, artifactType: OCI_EMPTY },
      ]);
    });

    it("keeps what others wrote into the index", async () => {
      const server = await older();
      const client = stage.client([server]);
      await push(client, server.address, SUBJECT);
      const theirs = { ...entry("theirs"), data: "dGhlaXJz" };
      const written = Buffer.from(index([theirs], { annotations: { by: "them" } }));
      await client.pushManifest(server.address, REPOSITORY, `sha256-${hexOf(DIGEST)}`, {
        bytes: written,
        mediaType: OCI_INDEX,
      });
      const ours = await push(client, server.address, signature("ours"));
      const answer = await fetch(`http://${registry.address}/v2/${REPOSITORY}/manifests/sha256-${hexOf(DIGEST)}`);
      const document = (await answer.json()) as { annotations: unknown; manifests: Descriptor[] };
      assert.deepEqual(document.annotations, { by: "them" });
      assert.deepEqual(document.manifests[0], theirs);
      assert.equal(document.manifests[1]?.digest, ours);
    });

    /** A registry on which another writer puts its own index over ours, so many times. */
    const contested = async (times: number): Promise<ScriptedServer> => {
      let left = times;
      return older((request, body) => {
        const writes = request.method === "PUT" && request.url?.includes("/sha256-");
        if (!writes || left === 0) return null;
        left -= 1;
        return { status: 201, body: body.subarray(0, 0).toString() };
      });
    };

    it("writes again where another writer was faster, and gives up in the end", async () => {
      const server = await contested(2);
      const client = stage.client([server]);
      await push(client, server.address, SUBJECT);
      const digest = await push(client, server.address, signature("a"));
      assert.deepEqual(
        (await ask(server)).map(one => one.digest),
        [digest],
      );
      const hopeless = await contested(100);
      const pushing = push(stage.client([hopeless]), hopeless.address, signature("b"));
      await assert.rejects(pushing, coded("Rejected", /keep overwriting the index sha256-/));
    });

    it("does not believe a header about another subject", async () => {
      const server = await stage.serve((request, response, body) => {
        if (request.url?.includes("/sha256-")) return frontOf(registry, () => null)(request, response, body);
        if (request.method === "PUT") {
          return void response.writeHead(201, { "oci-subject": digestOf(Buffer.from("other")) }).end();
        }
        frontOf(registry, () => null)(request, response, body);
      });
      await push(stage.client([server]), server.address, signature("a"));
      assert.ok(registry.requests.some(line => line.startsWith("PUT") && line.includes("/sha256-")));
    });

    it("overwrites nothing under the fallback tag that is no index", async () => {
      const server = await older();
      const client = stage.client([server]);
      await push(client, server.address, SUBJECT, `sha256-${hexOf(DIGEST)}`);
      await assert.rejects(push(client, server.address, signature("a")), coded("BadManifest", /is no image index/));
      await assert.rejects(ask(server), coded("BadManifest"));
    });
  });
});
