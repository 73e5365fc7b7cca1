import assert from "node:assert/strict";
import { OCI_EMPTY, OCI_MANIFEST } from "../../src/oci/media-types.ts";
import { blobOf } from "../../src/oci/push.ts";
import { type Registry, startRegistry } from "../environment/registry/registry.ts";
import { coded, type Script, Stage } from "./scripted-server.ts";

const page =
  (tags: unknown, link?: string): Script =>
  (_request, response) => {
    response.writeHead(200, link === undefined ? {} : { link });
    response.end(JSON.stringify({ name: "team/filter", tags }));
  };

describe("RegistryClient.tags", () => {
  const stage = new Stage();
  let registry: Registry | null = null;
  afterEach(async () => {
    await stage.clear();
    await registry?.close();
    registry = null;
  });

  const tagsOf = async (script: Script, limits = {}) => {
    const server = await stage.serve(script);
    return stage.client([server], { limits }).tags(server.address, "team/filter");
  };

  it("lists what was pushed, over all pages", async () => {
    registry = await startRegistry();
    const client = stage.client([registry]);
    const empty = blobOf(Buffer.from("{}"));
    await client.pushBlob(registry.address, "team/filter", empty);
    const config = { mediaType: OCI_EMPTY, digest: empty.digest, size: 2 };
    const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: OCI_MANIFEST, config, layers: [] }));
    const pushed = Array.from({ length: 120 }, (_, index) => `v${String(index).padStart(3, "0")}`);
    for (const tag of pushed) {
      await client.pushManifest(registry.address, "team/filter", tag, { bytes, mediaType: OCI_MANIFEST });
    }
    assert.deepEqual(await client.tags(registry.address, "team/filter"), pushed);
    assert.equal(registry.requests.filter(line => line.includes("/tags/list")).length, 2);
  });

  it("reads Go's null as no tags, and a missing repository as NotFound", async () => {
    assert.deepEqual(await tagsOf(page(null)), []);
    await assert.rejects(
      tagsOf((_request, response) => void response.writeHead(404).end()),
      coded("NotFound", /cannot list the tags of 127\.0\.0\.1:\d+\/team\/filter: /),
    );
  });

  it("refuses a list that never ends", async () => {
    let pages = 0;
    const endless: Script = (request, response, body) => {
      pages += 1;
      page([`t${pages}`], `</v2/team/filter/tags/list?last=${pages}>; rel="next"`)(request, response, body);
    };
    await assert.rejects(tagsOf(endless, { tagPages: 5 }), coded("TooLarge", /more than the 5 pages/));
    assert.equal(pages, 5);
  });

  it("refuses more tags than allowed instead of cutting them", async () => {
    await assert.rejects(tagsOf(page(["a", "b", "c"]), { tags: 2 }), coded("TooLarge", /more than the 2 tags/));
    assert.deepEqual(await tagsOf(page(["a", "b"]), { tags: 2 }), ["a", "b"]);
  });

  it("refuses a page larger than allowed", async () => {
    await assert.rejects(tagsOf(page(["a".repeat(100)]), { manifestBytes: 50 }), coded("TooLarge"));
  });

  for (const tags of ["a", [1], ["../x"], ["a b"], ["\u001b[31m"], ["a".repeat(129)], undefined]) {
    it(`refuses ${JSON.stringify(tags)?.slice(0, 20)} for tags`, async () => {
      await assert.rejects(tagsOf(page(tags)), coded("BadResponse"));
    });
  }

  it("follows no page to another host, and sends it nothing", async () => {
    const other = await stage.serve(page(["b"]));
    const server = await stage.serve(page(["a"], `<http://${other.address}/v2/>; rel="next"`));
    const client = stage.client([server, other]);
    await assert.rejects(client.tags(server.address, "team/filter"), coded("UnsafeRedirect"));
    assert.deepEqual(other.seen, []);
  });
});
