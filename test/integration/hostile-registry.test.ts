import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { chmod, mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import type { IncomingMessage, ServerResponse } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buffer } from "node:stream/consumers";
import { gzipSync } from "node:zlib";
import { type Pack, pack } from "tar-stream";
import { RegistryClient } from "../../src/oci/client.ts";
import type { Credential } from "../../src/oci/credentials.ts";
import { RegistryError } from "../../src/oci/error.ts";
import { fetchModule } from "../../src/oci/fetch-module.ts";
import { DOCKER_MANIFEST, OCI_CONFIG, OCI_INDEX, OCI_LAYER_GZIP, OCI_MANIFEST } from "../../src/oci/media-types.ts";
import { moduleImage } from "../../src/oci/module-image.ts";
import type { RegistryClientOptions } from "../../src/oci/options.ts";
import { blobOf } from "../../src/oci/push.ts";
import type { Plan } from "../../src/plan/plan.ts";
import { noopModule } from "../../src/wasm/noop-module.ts";
import { flipLastByte } from "../environment/corruption.ts";
import {
  bundledEntry,
  type FetcherOptions,
  type FetcherRun,
  runFetcherProcess,
} from "../environment/fetcher-process.ts";
import { type HostileRegistry, startHostileRegistry } from "../environment/hostile-registry.ts";
import { descriptorOf, manifestBytes } from "../oci/images.ts";
import { coded } from "../oci/scripted-server.ts";
import { samplePlan } from "../plan/sample.ts";

const REPOSITORY = "team/filter";
const SECRET = "correct-horse-battery";
const SHA256 = createHash("sha256").update(noopModule).digest("hex");
/** What a refusal exits with: the registry could not give it, or gave what is refused. */
const [UNAVAILABLE, REFUSED] = [3, 4];
/** Long enough for whatever must be refused before it, on any machine. */
const PATIENT_MS = 40_000;
const MIB = 1024 * 1024;

// Each test plays one item of the list of attacks that the project keeps: the number in its name is the item's.
describe("a hostile registry", function () {
  this.timeout(60_000);
  let folder: string;
  let root: string;
  let registry: HostileRegistry;
  let other: HostileRegistry;
  let bundles: string;
  let entry: string;
  const clients: RegistryClient[] = [];

  before(async () => {
    bundles = await mkdtemp(join(tmpdir(), "wasmount-bundle-"));
    entry = await bundledEntry(bundles);
  });

  after(() => rm(bundles, { recursive: true }));

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "wasmount-hostile-"));
    root = join(folder, "wasmount");
    registry = await startHostileRegistry();
    other = await startHostileRegistry();
  });

  afterEach(async () => {
    for (const client of clients.splice(0)) client.close();
    await Promise.all([registry.close(), other.close()]);
    await unlock(folder);
    await rm(folder, { recursive: true });
  });

  const address = () => ({ registry: registry.address, repository: REPOSITORY });

  const plainly = (...hosts: readonly string[]) => hosts.map(host => ({ host, plainHttp: true }));

  function client(options: RegistryClientOptions = {}): RegistryClient {
    const registries = plainly(registry.address, other.address);
    const made = new RegistryClient({ registries, sleep: async () => {}, deadlineMs: PATIENT_MS, ...options });
    clients.push(made);
    return made;
  }

  function planFor(
    digest: string,
    changes: Partial<Plan> = {},
    repository = `${registry.address}/${REPOSITORY}`,
  ): Plan {
    const sample = samplePlan({ repository, digest });
    return {
      ...sample,
      root,
      registries: plainly(registry.address, other.address),
      limits: { moduleBytes: 64 * MIB, manifestBytes: 4 * MIB, deadlineMs: PATIENT_MS },
      ...changes,
    };
  }

  const fetcher = (plan: Plan, options: FetcherOptions = {}) => runFetcherProcess(plan, { entry, ...options });

  async function refused(
    plan: Plan,
    exitCode: number,
    line: RegExp,
    options: FetcherOptions = {},
  ): Promise<FetcherRun> {
    const run = await fetcher(plan, options);
    assert.match(run.lastLine, line, run.log);
    assert.equal(run.exitCode, exitCode, run.log);
    assert.deepEqual(await names("modules"), [], "nothing under a final name, nothing unfinished");
    assert.deepEqual(await names("filters"), []);
    return run;
  }

  const names = (part: string) => readdir(join(root, part)).catch(() => []);

  /** An honest image, for a script to spoil. */
  async function honest(): Promise<{ readonly digest: string; readonly layer: string }> {
    const image = await moduleImage({ module: noopModule, name: "filter", layout: "cncf" });
    return { digest: await registry.image(image), layer: image.blobs.at(-1)?.digest ?? "" };
  }

  /** An image with one layer of bytes that we would never make. */
  function imageOf(layer: Buffer, mediaType: string, title?: string): string {
    registry.hold(Buffer.from("{}"));
    registry.hold(layer);
    return holdManifest({ layers: [descriptorOf(layer, mediaType, title)] });
  }

  const holdManifest = (change: Readonly<Record<string, unknown>>) =>
    registry.hold(manifestBytes(change), OCI_MANIFEST);

  /** Requests for something: all of a method and path part. */
  const asked = (from: HostileRegistry, part: string) => from.seen.filter(({ line }) => line.includes(part));

  const isFor = ({ url = "" }: IncomingMessage, part: string) => url.includes(part);

  const redirect = (response: ServerResponse, location: string) => {
    response.writeHead(307, { location, "content-length": "0" }).end();
    return true;
  };

  describe("4: returns other bytes than those asked for", () => {
    it("under a manifest's digest, and says in Docker-Content-Digest that they are right", async () => {
      const { digest } = await honest();
      registry.hold(manifestBytes({ annotations: { evil: "yes" } }), OCI_MANIFEST, digest);
      await refused(planFor(digest), REFUSED, /^wasmount-fetch: DigestMismatch: /);
    });

    it("under a blob's digest, as many as announced", async () => {
      const { digest, layer } = await honest();
      registry.hold(flipLastByte(noopModule), undefined, layer);
      await refused(planFor(digest), REFUSED, /^wasmount-fetch: DigestMismatch: /);
    });

    it("under a blob's digest, more than announced and without an end", async () => {
      const { digest, layer } = await honest();
      registry.script((request, response) => isFor(request, layer) && flood(response.writeHead(200), noopModule));
      await refused(planFor(digest), REFUSED, /^wasmount-fetch: SizeMismatch: /);
    });

    it("under an index's child, of another size than the index says", async () => {
      const child = await honest();
      const entry = { mediaType: OCI_MANIFEST, digest: child.digest, size: 1 };
      const index = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests: [entry] }));
      await refused(planFor(registry.hold(index, OCI_INDEX)), REFUSED, /^wasmount-fetch: SizeMismatch: /);
    });

    it("in answer to HEAD: another digest than the one in the reference", async () => {
      const { digest } = await honest();
      const lie = `sha256:${"0".repeat(64)}`;
      registry.script(({ method }, response) => {
        const headers = { "content-type": OCI_MANIFEST, "docker-content-digest": lie, "content-length": "2" };
        if (method === "HEAD") response.writeHead(200, headers).end();
        return method === "HEAD";
      });
      const reference = { registry: registry.address, repository: REPOSITORY, tag: "1", digest };
      await assert.rejects(client().resolve(reference), coded("DigestMismatch"));
    });
  });

  describe("19: has no end of", () => {
    it("manifests in an index", async () => {
      const entries = Array.from({ length: 65 }, (_, index) => ({
        ...descriptorOf(Buffer.from(String(index)), OCI_MANIFEST),
        platform: { architecture: "wasm", os: index === 0 ? "wasip1" : "linux" },
      }));
      const index = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests: entries }));
      const digest = registry.hold(index, OCI_INDEX);
      await refused(planFor(digest), REFUSED, /^wasmount-fetch: BadManifest: .*more than 64 manifests/);
    });

    it("layers in an image", async () => {
      const filler = descriptorOf(Buffer.from("x"), "text/plain");
      const digest = holdManifest({ layers: Array.from({ length: 257 }, () => filler) });
      await refused(planFor(digest), REFUSED, /^wasmount-fetch: BadManifest: .*more than 256 layers/);
    });

    it("redirects", async () => {
      const { digest, layer } = await honest();
      let hop = 0;
      registry.script((request, response) => {
        hop += 1;
        return isFor(request, layer) && redirect(response, `/v2/${REPOSITORY}/blobs/${layer}?hop=${hop}`);
      });
      await refused(planFor(digest), UNAVAILABLE, /^wasmount-fetch: TooManyRedirects: /);
      assert.equal(asked(registry, layer).length, 6);
    });

    const page = (manifests: readonly object[]) =>
      Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests }));

    /** Lists that end nowhere: each page leads to the next one. */
    const endless = (part: string, body: (number: number) => Buffer, mediaType: string) => {
      let number = 0;
      registry.script((request, response) => {
        if (!isFor(request, part)) return false;
        number += 1;
        const link = `</v2/${REPOSITORY}/${part}?page=${number}>; rel="next"`;
        response.writeHead(200, { "content-type": mediaType, link }).end(body(number));
        return true;
      });
    };

    for (const [what, entries] of [
      ["pages of referrers", 0],
      ["referrers, page after page", 20],
    ] as const) {
      it(what, async () => {
        const { digest } = await honest();
        const of = (number: number) =>
          page(
            Array.from({ length: entries }, (_, index) =>
              descriptorOf(Buffer.from(`${number} ${index}`), OCI_MANIFEST),
            ),
          );
        endless(`referrers/${digest}`, of, OCI_INDEX);
        const listing = client().referrers(registry.address, REPOSITORY, digest);
        await assert.rejects(listing, coded("TooLarge", entries === 0 ? /pages allowed/ : /referrers allowed/));
      });
    }

    it("referrers on one page", async () => {
      const { digest } = await honest();
      const of = () =>
        page(Array.from({ length: 1025 }, (_, index) => descriptorOf(Buffer.from(String(index)), OCI_MANIFEST)));
      endless(`referrers/${digest}`, of, OCI_INDEX);
      const listing = client().referrers(registry.address, REPOSITORY, digest);
      await assert.rejects(listing, coded("TooLarge", /1024 entries/));
    });

    for (const [what, count] of [
      ["pages of tags", 0],
      ["tags, page after page", 1000],
    ] as const) {
      it(what, async () => {
        const of = (number: number) =>
          Buffer.from(JSON.stringify({ tags: Array.from({ length: count }, (_, index) => `t${number}-${index}`) }));
        endless("tags/list", of, "application/json");
        const listing = client().tags(registry.address, REPOSITORY);
        await assert.rejects(listing, coded("TooLarge", count === 0 ? /pages allowed/ : /tags allowed/));
      });
    }

    it("entries in an archive", async () => {
      const layer = await archive(tar => {
        for (let index = 0; index <= 1024; index += 1)
          tar.entry({ name: `${index}-${randomBytes(40).toString("hex")}` }, "");
        tar.entry({ name: "plugin.wasm" }, noopModule);
      });
      const digest = imageOf(layer, OCI_LAYER_GZIP);
      await refused(planFor(digest), REFUSED, /^wasmount-fetch: BadArchive: .*more than 1024 entries/);
    });
  });

  describe("20: sends too much, or too slowly", () => {
    it("as a manifest that announces its size, and is not waited for", async () => {
      const { digest } = await honest();
      registry.script((request, response) => {
        if (!isFor(request, "/manifests/")) return false;
        response.writeHead(200, { "content-type": OCI_MANIFEST, "content-length": String(5 * MIB) }).write("{");
        return true;
      });
      await refused(planFor(digest), REFUSED, /^wasmount-fetch: TooLarge: .*the manifest/);
    });

    it("as a manifest without a size and without an end", async () => {
      const { digest } = await honest();
      registry.script(
        (request, response) =>
          isFor(request, "/manifests/") &&
          flood(response.writeHead(200, { "content-type": OCI_MANIFEST }), Buffer.alloc(64 * 1024, " ")),
      );
      await refused(planFor(digest), REFUSED, /^wasmount-fetch: TooLarge: .*the manifest/);
    });

    it("as a config", async () => {
      const config = { ...descriptorOf(Buffer.from("{}"), "application/vnd.wasm.config.v0+json"), size: 5 * MIB };
      const digest = holdManifest({ config, layers: [descriptorOf(noopModule, "application/wasm")] });
      await refused(planFor(digest), REFUSED, /^wasmount-fetch: TooLarge: .*the config/);
      assert.deepEqual(asked(registry, "/blobs/"), []);
    });

    it("as a module, which is not even asked for", async () => {
      const layer = { ...descriptorOf(noopModule, "application/wasm"), size: 65 * MIB };
      await refused(planFor(holdManifest({ layers: [layer] })), REFUSED, /^wasmount-fetch: TooLarge: /);
      assert.deepEqual(asked(registry, "/blobs/"), []);
    });

    for (const [what, part] of [
      ["manifest", "/manifests/"],
      ["module", "/blobs/"],
    ] as const) {
      it(`as a ${what} that comes byte by byte for ever, never silent for long`, async () => {
        const { digest } = await honest();
        registry.script((request, response) => {
          if (!isFor(request, part)) return false;
          response.writeHead(200, { "content-type": OCI_MANIFEST });
          response.write(part === "/blobs/" ? noopModule.subarray(0, 8) : "{");
          const timer = setInterval(() => response.write(" "), 20);
          response.on("close", () => clearInterval(timer));
          return true;
        });
        // The module must stay below the size that would end it first.
        const slow = part === "/blobs/" ? holdManifest({ layers: [bigLayer()] }) : digest;
        const limits = { moduleBytes: 64 * MIB, manifestBytes: 4 * MIB, deadlineMs: 2_500 };
        await refused(planFor(slow, { limits }), UNAVAILABLE, /^wasmount-fetch: Timeout: .*the time allowed/);
      });
    }

    it("as answers that each come in time, but not together", async () => {
      const { digest } = await honest();
      const deadlineMs = 4_000;
      registry.script((request, response) => {
        setTimeout(() => registry.answer(request, response), deadlineMs * 0.6);
        return true;
      });
      const limits = { moduleBytes: 64 * MIB, manifestBytes: 4 * MIB, deadlineMs };
      await refused(planFor(digest, { limits }), UNAVAILABLE, /^wasmount-fetch: Timeout: .*the time allowed/);
    });

    const bigLayer = () => ({ ...descriptorOf(noopModule, "application/wasm"), size: 32 * MIB });
  });

  describe("21: packs a bomb", () => {
    const zeros = Buffer.concat([noopModule.subarray(0, 8), Buffer.alloc(32 * MIB)]);

    it("that unpacks to hundreds of times its size", async () => {
      const digest = imageOf(await archive(tar => tar.entry({ name: "plugin.wasm" }, zeros)), OCI_LAYER_GZIP);
      await refused(planFor(digest), REFUSED, /^wasmount-fetch: BadArchive: .*more than 20 times its size/);
    });

    it("in a file beside the module", async () => {
      const layer = await archive(tar => {
        tar.entry({ name: "plugin.wasm" }, noopModule);
        tar.entry({ name: "beside" }, zeros);
      });
      const line = /^wasmount-fetch: BadArchive: .*more than 20 times its size/;
      await refused(planFor(imageOf(layer, OCI_LAYER_GZIP)), REFUSED, line);
    });

    it("that is no larger than allowed, of what is, and that no ratio betrays", async () => {
      const text = randomBytes(2.5 * MIB).toString("hex");
      const layer = await archive(tar => {
        tar.entry({ name: "text" }, text);
        tar.entry({ name: "plugin.wasm" }, noopModule);
      });
      assert.ok(layer.length < 3 * MIB && layer.length > text.length / 20);
      const digest = imageOf(layer, OCI_LAYER_GZIP);
      const limits = { moduleBytes: 3 * MIB, manifestBytes: 4 * MIB, deadlineMs: PATIENT_MS };
      await refused(planFor(digest, { limits }), REFUSED, /^wasmount-fetch: TooLarge: .*unpacks to more/);
      const run = await fetcher(planFor(digest));
      assert.equal(run.exitCode, 0, "the same layer is taken where it may be larger");
    });

    it("as a header that claims more than is allowed", async () => {
      const tar = Buffer.alloc(1536);
      Buffer.from(header("plugin.wasm", 7 * 1024 * MIB)).copy(tar);
      noopModule.copy(tar, 512);
      const line = /^wasmount-fetch: TooLarge: .*plugin\.wasm has 7516192768 bytes/;
      const { peakKiB } = await refused(planFor(imageOf(gzipSync(tar), OCI_LAYER_GZIP)), REFUSED, line);
      assert.ok(peakKiB !== null && peakKiB < 300 * 1024, `${peakKiB} KiB`);
    });

    it("as a header about a header, of as many bytes as a module may have", async () => {
      const comment = Buffer.concat([header("pax", 32 * MIB, "x"), randomBytes(32 * MIB)]);
      const layer = gzipSync(
        Buffer.concat([comment, await tarOf(tar => tar.entry({ name: "plugin.wasm" }, noopModule))]),
      );
      const digest = imageOf(layer, OCI_LAYER_GZIP);
      const { peakKiB } = await refused(
        planFor(digest),
        REFUSED,
        /^wasmount-fetch: BadArchive: .*a header of 33554432 bytes/,
      );
      assert.ok(peakKiB !== null && peakKiB < 150 * 1024, `${peakKiB} KiB`);
    });
  });

  describe("22: writes outside of the volume", () => {
    const link = (type: "symlink" | "link"): Parameters<Pack["entry"]>[0] => ({
      name: "plugin.wasm",
      type,
      linkname: "/etc/passwd",
    });

    for (const type of ["symlink", "link"] as const) {
      it(`through a ${type} in an archive`, async () => {
        const digest = imageOf(await archive(tar => tar.entry(link(type))), OCI_LAYER_GZIP);
        await refused(planFor(digest), REFUSED, /^wasmount-fetch: BadArchive: .*plugin\.wasm as a (sym)?link/);
      });
    }

    it("through a path in an archive, or a title: neither names a file", async () => {
      const layer = await archive(tar => {
        for (const name of ["../../escaped", join(folder, "absolute"), "x/../../../escaped"])
          tar.entry({ name }, "escaped");
        tar.entry({ name: "../../../plugin.wasm" }, noopModule);
      });
      const images = [
        imageOf(layer, OCI_LAYER_GZIP),
        imageOf(noopModule, "application/x-tar", "../../../escaped.wasm"),
      ];
      for (const digest of images) {
        const run = await fetcher(planFor(digest));
        assert.equal(run.exitCode, 0, run.log);
        await unlock(root);
        assert.deepEqual(await readdir(folder), ["wasmount"]);
        assert.deepEqual((await readdir(root)).sort(), ["blobs", "bootstrap", "filters", "modules"]);
        assert.deepEqual(await names("modules"), [`${SHA256}.wasm`]);
        const strange = (await names("blobs")).filter(name => !/^[0-9a-f]{64}$/.test(name));
        assert.deepEqual(strange, []);
        await rm(root, { recursive: true });
      }
    });
  });

  describe("23: sends us elsewhere with our credentials", () => {
    const login = { kind: "password", username: "robot", password: SECRET } as const;
    const basic = `Basic ${Buffer.from(`robot:${SECRET}`).toString("base64")}`;

    const wantsLogin = (request: IncomingMessage, response: ServerResponse) => {
      if (request.headers.authorization === basic) return false;
      response.writeHead(401, { "www-authenticate": 'Basic realm="r"', "content-length": "0" }).end();
      return true;
    };

    it("by redirecting a blob", async () => {
      const { digest, layer } = await honest();
      other.hold(noopModule);
      registry.script(
        (request, response) =>
          wantsLogin(request, response) ||
          (isFor(request, layer) && redirect(response, `http://${other.address}/v2/${REPOSITORY}/blobs/${layer}`)),
      );
      const run = await fetcher(planFor(digest, { pullSecrets: await pullSecret(basic) }));
      assert.equal(run.exitCode, 0, run.log);
      assert.ok(registry.seen.some(({ authorization }) => authorization === basic));
      assert.deepEqual(
        asked(other, layer).map(({ authorization }) => authorization),
        [null],
      );
    });

    it("by redirecting a blob to who asks for them", async () => {
      const { digest, layer } = await honest();
      other.script((_request, response) => {
        const challenge = `Bearer realm="http://${registry.address}/token",service="stolen"`;
        response.writeHead(401, { "www-authenticate": challenge, "content-length": "0" }).end();
        return true;
      });
      registry.script(
        (request, response) =>
          wantsLogin(request, response) ||
          (isFor(request, layer) && redirect(response, `http://${other.address}/blobs/${layer}`)),
      );
      const plan = planFor(digest, { pullSecrets: await pullSecret(basic) });
      await refused(plan, UNAVAILABLE, /^wasmount-fetch: Unauthorized: /);
      assert.deepEqual(asked(registry, "/token"), [], "a stranger's challenge is not answered");
      assert.deepEqual([...new Set(other.seen.map(({ authorization }) => authorization))], [null]);
    });

    it("by the next page of a list", async () => {
      registry.script((request, response) => {
        if (wantsLogin(request, response)) return true;
        response.setHeader("link", `<http://${other.address}/v2/${REPOSITORY}/tags/list?last=a>; rel="next"`);
        response.end(JSON.stringify({ tags: ["a"] }));
        return true;
      });
      const listing = client({ credentials: () => [login] }).tags(registry.address, REPOSITORY);
      await assert.rejects(listing, coded("UnsafeRedirect"));
      assert.deepEqual(other.seen, []);
    });

    const uploadingElsewhere = (request: IncomingMessage, response: ServerResponse) => {
      if (wantsLogin(request, response)) return true;
      const started = request.method === "POST";
      response.writeHead(started ? 202 : 404, { location: `http://${other.address}/upload`, "content-length": "0" });
      response.end();
      return true;
    };
    const locations: readonly (readonly [what: string, status: number, accepted: boolean])[] = [
      ["by the Location of an upload", 201, true],
      ["by the Location of an upload, to who asks for them", 401, false],
    ];
    for (const [what, status, accepted] of locations) {
      it(what, async () => {
        other.script((_request, response) => {
          response.writeHead(status, { "www-authenticate": 'Basic realm="r"', "content-length": "0" }).end();
          return true;
        });
        registry.script(uploadingElsewhere);
        const pushing = client({ credentials: () => [login] });
        const pushed = pushing.pushBlob(registry.address, REPOSITORY, blobOf(noopModule));
        await (accepted ? pushed : assert.rejects(pushed, coded("Unauthorized")));
        assert.ok(registry.seen.some(({ authorization }) => authorization === basic));
        assert.deepEqual(
          other.seen.map(({ authorization }) => authorization),
          [null],
        );
      });
    }
  });

  describe("24: names a token realm", () => {
    const realms: readonly (readonly [what: string, realm: () => string, line: RegExp])[] = [
      ["at another host without TLS", () => `http://${other.address}/token`, /BadChallenge/],
      ["at a metadata address", () => "https://169.254.169.254/token", /BadChallenge|ForbiddenAddress/],
      ["at another address with TLS", () => "https://127.0.0.2/token", /BadChallenge/],
      ["at an address in disguise", () => "https://[::ffff:169.254.169.254]/token", /BadChallenge|ForbiddenAddress/],
      ["that is a file", () => "file:///etc/passwd", /BadChallenge/],
      ["that redirects elsewhere", () => `http://${registry.address}/token`, /UnsafeRedirect/],
    ];
    for (const [what, realm, code] of realms) {
      it(`${what}: nothing is sent there`, async () => {
        const { digest } = await honest();
        registry.script((request, response) => {
          if (isFor(request, "/token")) return redirect(response, `http://${other.address}/token`);
          const challenge = `Bearer realm="${realm()}",service="s",scope="repository:${REPOSITORY}:pull"`;
          response.writeHead(401, { "www-authenticate": challenge, "content-length": "0" }).end();
          return true;
        });
        const secret = await pullSecret(`Basic ${Buffer.from(`robot:${SECRET}`).toString("base64")}`);
        const run = await refused(planFor(digest, { pullSecrets: secret }), UNAVAILABLE, code);
        assert.deepEqual(other.seen, []);
        assert.doesNotMatch(run.log, new RegExp(SECRET));
      });
    }
  });

  describe("25: makes us ask inside", () => {
    const METADATA = ["169.254.169.254", "[::ffff:169.254.169.254]", "[fd00:ec2::254]", "2852039166"];
    for (const host of METADATA) {
      it(`by a redirect to ${host}, even where the operator allows plain HTTP there`, async () => {
        const { digest, layer } = await honest();
        registry.script((request, response) => isFor(request, layer) && redirect(response, `http://${host}/latest/`));
        const named = new URL(`http://${host}/`).host;
        const registries = plainly(registry.address, named).filter(({ host: one }) => !one.startsWith("["));
        const line = named.startsWith("[") ? /(ForbiddenAddress|UnsafeRedirect): / : /ForbiddenAddress: /;
        await refused(planFor(digest, { registries }), UNAVAILABLE, line);
      });

      it(`by a redirect to ${host} with TLS`, async () => {
        const { digest, layer } = await honest();
        registry.script((request, response) => isFor(request, layer) && redirect(response, `https://${host}/latest/`));
        await refused(planFor(digest), UNAVAILABLE, /ForbiddenAddress: /);
      });
    }

    it("by a redirect to where the operator allows no plain HTTP", async () => {
      const { digest, layer } = await honest();
      registry.script((request, response) => isFor(request, layer) && redirect(response, `http://${other.address}/`));
      await refused(planFor(digest, { registries: plainly(registry.address) }), UNAVAILABLE, /UnsafeRedirect: /);
      assert.deepEqual(other.seen, []);
    });

    it("by a redirect to a private address, where the operator allows those to named registries alone", async () => {
      const { digest, layer } = await honest();
      registry.script(
        (request, response) => isFor(request, layer) && redirect(response, `https://${other.address}/v2/`),
      );
      const network = { privateAddresses: "Deny", proxy: null } as const;
      const plan = planFor(digest, { registries: plainly(registry.address), network });
      await refused(plan, UNAVAILABLE, /ForbiddenAddress: .*private address/);
      assert.ok(asked(registry, layer).length > 0, "the registry itself, which is named, was asked");
    });

    it("by a name that is the registry's at first and a metadata address later", async () => {
      const { digest } = await honest();
      registry.script((request, response) => {
        // The next request needs a new connection, and so the name again.
        response.setHeader("connection", "close");
        return isFor(request, "never");
      });
      const host = `registry.test:${registry.address.split(":")[1]}`;
      const plan = planFor(digest, { registries: plainly(host) }, `${host}/${REPOSITORY}`);
      await refused(plan, UNAVAILABLE, /ForbiddenAddress: /, { before: resolving(["127.0.0.1"], ["169.254.169.254"]) });
      assert.ok(asked(registry, "/manifests/").length > 0, "the first answer counted");
    });

    it("by a name with a metadata address among its addresses", async () => {
      const { digest } = await honest();
      const host = `registry.test:${registry.address.split(":")[1]}`;
      const plan = planFor(digest, { registries: plainly(host) }, `${host}/${REPOSITORY}`);
      const before = resolving(["127.0.0.1", "::ffff:169.254.169.254"]);
      await refused(plan, UNAVAILABLE, /ForbiddenAddress: /, { before });
      assert.deepEqual(registry.seen, []);
    });

    it("but a registry inside, by its name, works", async () => {
      const { digest } = await honest();
      const host = `registry.test:${registry.address.split(":")[1]}`;
      const plan = planFor(digest, { registries: plainly(host) }, `${host}/${REPOSITORY}`);
      const run = await fetcher(plan, { before: resolving(["127.0.0.1"]) });
      assert.equal(run.exitCode, 0, run.log);
    });
  });

  describe("26: puts a path where a digest belongs", () => {
    const evil = (descriptor: object) => ({ ...descriptor, digest: "sha256:../../../../etc/passwd" });
    const layer = descriptorOf(noopModule, "application/wasm");
    const injections: readonly (readonly [what: string, manifest: () => string])[] = [
      ["of a layer", () => holdManifest({ layers: [evil(layer)] })],
      [
        "of a config",
        () => holdManifest({ config: evil(descriptorOf(Buffer.from("{}"), OCI_CONFIG)), layers: [layer] }),
      ],
      ["of an index's child", () => holdIndex(evil({ ...layer, mediaType: OCI_MANIFEST }))],
      ["in upper case", () => holdManifest({ layers: [{ ...layer, digest: layer.digest.toUpperCase() }] })],
    ];
    const holdIndex = (entry: object) =>
      registry.hold(
        Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests: [entry] })),
        OCI_INDEX,
      );
    for (const [what, manifest] of injections) {
      it(what, async () => {
        const digest = manifest();
        await refused(planFor(digest), REFUSED, /^wasmount-fetch: BadManifest: .*digest is not/);
        assert.deepEqual(
          registry.seen.map(({ line }) => line),
          [`GET /v2/${REPOSITORY}/manifests/${digest}`],
        );
      });
    }
  });

  describe("27: sends a manifest that means two things", () => {
    const layer = descriptorOf(noopModule, "application/wasm");
    const indexWithConfig = () => {
      registry.hold(Buffer.from("{}"));
      const child = manifestBytes({ layers: [layer] });
      registry.hold(child, OCI_MANIFEST);
      const manifests = [descriptorOf(child, OCI_MANIFEST)];
      const config = descriptorOf(Buffer.from("{}"), OCI_CONFIG);
      return registry.hold(
        Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests, config })),
        OCI_INDEX,
      );
    };
    const confusions: readonly (readonly [what: string, hold: () => string, line: RegExp])[] = [
      [
        "with layers and manifests",
        () => holdManifest({ layers: [layer], manifests: [] }),
        /both layers and manifests/,
      ],
      [
        "with another Content-Type",
        () => registry.hold(manifestBytes({ layers: [layer] }), DOCKER_MANIFEST),
        /the registry calls it something else/,
      ],
      ["with a key twice", () => registry.hold(twice('"layers":[]'), OCI_MANIFEST), /the key "layers" twice/],
      ["with a key twice, to readers that fold case", () => registry.hold(twice('"Layers":[]'), OCI_MANIFEST), /twice/],
      ["as an index with a config", indexWithConfig, /a config, but its media type is an index's/],
    ];
    const twice = (member: string) =>
      Buffer.from(
        manifestBytes({ layers: [layer] })
          .toString("utf8")
          .replace("{", `{${member},`),
      );
    for (const [what, hold, line] of confusions) {
      it(what, async () => {
        registry.hold(noopModule);
        const run = await refused(planFor(hold()), REFUSED, /^wasmount-fetch: BadManifest: /);
        assert.match(run.lastLine, line);
      });
    }
  });

  describe("28: is asked by several with different credentials", () => {
    const MANY = [
      { what: "Basic", challenge: () => 'Basic realm="r"' },
      { what: "Bearer", challenge: () => `Bearer realm="http://${registry.address}/token",service="s"` },
    ];
    for (const { what, challenge } of MANY) {
      it(`and what one may see (${what}), another does not`, async () => {
        const { digest } = await honest();
        const basic = `Basic ${Buffer.from(`robot:${SECRET}`).toString("base64")}`;
        registry.script((request, response) => {
          const { authorization } = request.headers;
          if (isFor(request, "/token")) return tokenFor(authorization === basic, response);
          if (authorization === basic || authorization === "Bearer good") return false;
          response.writeHead(401, { "www-authenticate": challenge(), "content-length": "0" }).end();
          return true;
        });
        let current: readonly Credential[] = [{ kind: "password", username: "robot", password: SECRET }];
        const shared = client({ credentials: () => current });
        await shared.manifest(registry.address, REPOSITORY, digest);
        for (const stranger of [[], [{ kind: "password", username: "other", password: "wrong" } as const]]) {
          current = stranger;
          const reading = shared.manifest(registry.address, REPOSITORY, digest);
          await assert.rejects(reading, (error: RegistryError) => ["Unauthorized", "Denied"].includes(error.code));
        }
      });
    }
  });

  describe("33: gives what is no core module", () => {
    const component = Buffer.concat([Buffer.from([0, 0x61, 0x73, 0x6d, 0x0d, 0, 1, 0]), noopModule.subarray(8)]);
    const precompiled = Buffer.concat([noopModule, customSection("precompiled_v8_v13.8_linux_x64", randomBytes(64))]);
    const modules: readonly (readonly [what: string, bytes: Buffer, line: RegExp])[] = [
      ["a component", component, /NotAModule: .*component/],
      ["a truncated module", noopModule.subarray(0, -3), /BadModule: /],
      ["a module with bytes behind its end", Buffer.concat([noopModule, Buffer.from("trailing")]), /BadModule: /],
      ["a module with native code in it", precompiled, /BadModule: .*precompiled_v8.*native code/],
      ["something else", Buffer.from("#!/bin/sh\nexit 0\n"), /NotAModule: .*no Wasm/],
    ];
    for (const [what, bytes, line] of modules) {
      it(what, () => refused(planFor(imageOf(bytes, "application/wasm")), REFUSED, line));
    }
  });

  describe("34: tells what it was told", () => {
    const basic = `Basic ${Buffer.from(`robot:${SECRET}`).toString("base64")}`;
    const secrets = [SECRET, basic.slice("Basic ".length), "signed-url-secret", "token-of-the-registry"];

    const silent = (log: string) => {
      for (const secret of secrets) assert.ok(!log.includes(secret), `the log holds ${secret}:\n${log}`);
    };

    for (const status of [401, 403, 404, 429, 500]) {
      it(`in the body of a ${status}`, async () => {
        const { digest } = await honest();
        registry.script(({ headers }, response) => {
          const known = headers.authorization !== undefined;
          const message = `${headers.authorization} ${SECRET} token-of-the-registry`;
          response.writeHead(known ? status : 401, { "www-authenticate": 'Basic realm="r"', "x-secret": SECRET });
          response.end(JSON.stringify({ errors: [{ code: message, message, detail: message }] }));
          return true;
        });
        const pullSecrets = await pullSecret(basic);
        const { log } = await refused(planFor(digest, { pullSecrets }), UNAVAILABLE, /^wasmount-fetch: /);
        assert.ok(registry.seen.some(({ authorization }) => authorization === basic));
        silent(log);
      });
    }

    it("in a signed URL that it sends us to", async () => {
      const { digest, layer } = await honest();
      registry.script(
        (request, response) =>
          isFor(request, layer) && redirect(response, `http://${other.address}/x?signature=signed-url-secret`),
      );
      const { log } = await refused(planFor(digest), UNAVAILABLE, /^wasmount-fetch: NotFound: /);
      assert.equal(other.seen.length, 1);
      silent(log);
    });

    it("in a token that it gives and then refuses", async () => {
      const { digest } = await honest();
      registry.script((request, response) => {
        if (isFor(request, "/token")) {
          response.end(JSON.stringify({ token: "token-of-the-registry" }));
          return true;
        }
        const challenge = `Bearer realm="http://${registry.address}/token",service="s"`;
        response.writeHead(401, { "www-authenticate": challenge, "content-length": "0" }).end();
        return true;
      });
      const { log } = await refused(
        planFor(digest, { pullSecrets: await pullSecret(basic) }),
        UNAVAILABLE,
        /Unauthorized/,
      );
      assert.ok(registry.seen.some(({ authorization }) => authorization === "Bearer token-of-the-registry"));
      silent(log);
    });

    it("in a pull secret that can't be read", async () => {
      const { digest } = await honest();
      const pullSecrets = { folder: join(folder, "secrets"), names: ["regcred"] };
      await mkdir(pullSecrets.folder);
      await writeFile(join(pullSecrets.folder, "0.json"), `{"auths": {"r": {"auth": "${SECRET}" "x"}}}`);
      const { log } = await fetcher(planFor(digest, { pullSecrets }));
      assert.match(log, /pull secret regcred: passed over/);
      silent(log);
    });
  });

  describe("35: writes to the reader's terminal", () => {
    const rude = "\u001b[2J\u001b]0;owned\u0007\r\nwasmount-fetch: done: all is well\u202e\u2028\u009b31m";

    it("in the body of an error, and has no end of it", async () => {
      const { digest } = await honest();
      registry.script((_request, response) => flood(response.writeHead(400), Buffer.from(rude.repeat(1000))));
      const { log } = await refused(planFor(digest), UNAVAILABLE, /^wasmount-fetch: Rejected: /);
      assertPlain(log);
    });

    it("in the body of an error that others read", async () => {
      registry.script((_request, response) => flood(response.writeHead(400), Buffer.from(rude.repeat(1000))));
      const failure = await client()
        .manifest(registry.address, REPOSITORY, "1")
        .catch((error: unknown) => error);
      assert.ok(failure instanceof RegistryError);
      const detail = failure.detail ?? "";
      assert.match(detail, /owned/, "it is kept, for the operator");
      assertPlain(`${failure.message} ${detail}`);
      assert.ok(detail.length <= 301, String(detail.length));
    });

    it("in the headers of an error and of a good answer", async () => {
      const { digest } = await honest();
      let good = true;
      registry.script((_request, response) => {
        response.setHeader("warning", `299 - "${"\u00a0x".repeat(3000)}"`);
        if (!good) response.writeHead(400, "wasmount-fetch: done \u009b31m", { "content-length": "0" }).end();
        return !good;
      });
      const run = await fetcher(planFor(digest));
      assert.equal(run.exitCode, 0, run.log);
      assertPlain(run.log);
      good = false;
      await unlock(root);
      await rm(root, { recursive: true });
      assertPlain((await refused(planFor(digest), UNAVAILABLE, /^wasmount-fetch: Rejected: /)).log);
    });

    it("in media types, platforms and annotations of a manifest", async () => {
      const digest = holdManifest({
        layers: [{ ...descriptorOf(noopModule, "text/plain"), annotations: { [rude]: 1 } }],
      });
      assertPlain((await refused(planFor(digest), REFUSED, /BadManifest: /)).log);
      const platform = { architecture: rude, os: rude.repeat(1000) };
      const entries = [1, 2].map(size => ({ ...descriptorOf(Buffer.alloc(size), OCI_MANIFEST), platform }));
      const index = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests: entries }));
      const indexDigest = registry.hold(index, OCI_INDEX);
      assertPlain((await refused(planFor(indexDigest), REFUSED, /UnsupportedLayout: /)).log);
      // The command line and the webhook have messages from where the fetcher has them, before it cleans its last line.
      const key = client().manifest(registry.address, REPOSITORY, digest);
      const choice = fetchModule(client(), { ...address(), digest: indexDigest }, { write: async () => {} });
      for (const reading of [key, choice]) {
        const failure: unknown = await reading.catch((error: unknown) => error);
        assert.ok(failure instanceof RegistryError);
        assertPlain(failure.message);
      }
    });

    function assertPlain(text: string): void {
      assert.doesNotMatch(text.replaceAll("\n", ""), /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u);
      assert.doesNotMatch(text, /^wasmount-fetch: done: all is well/m);
      assert.ok(text.length < 4096, `${text.length} characters`);
    }
  });

  async function pullSecret(basic: string): Promise<NonNullable<Plan["pullSecrets"]>> {
    const secrets = join(folder, "secrets");
    await mkdir(secrets);
    const auths = { [registry.address]: { auth: basic.slice("Basic ".length) } };
    await writeFile(join(secrets, "0.json"), JSON.stringify({ auths }));
    return { folder: secrets, names: ["regcred"] };
  }
});

function tokenFor(known: boolean, response: ServerResponse): true {
  response.writeHead(known ? 200 : 401).end(known ? JSON.stringify({ token: "good" }) : "");
  return true;
}

/** Writes the same chunk again and again for as long as the other side reads. */
function flood(response: ServerResponse, chunk: Buffer): true {
  const pour = () => {
    while (!response.destroyed && response.write(chunk));
  };
  response.on("drain", pour);
  pour();
  return true;
}

async function tarOf(fill: (tar: Pack) => void): Promise<Buffer> {
  const tar = pack();
  fill(tar);
  tar.finalize();
  return buffer(tar);
}

async function archive(fill: (tar: Pack) => void): Promise<Buffer> {
  return gzipSync(await tarOf(fill));
}

/** A tar header (POSIX ustar) that says whatever size and type it is told. */
function header(name: string, size: number, type = "0"): Buffer {
  const block = Buffer.alloc(512);
  block.write(name);
  block.write("0000644\0", 100);
  block.write(`${size.toString(8).padStart(11, "0")}\0`, 124);
  block.write(`        ${type}`, 148);
  block.write("ustar\x0000", 257);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
  return block;
}

/** A resolver that answers each question about registry.test with the next of these lists, and then with the last. */
function resolving(...answers: readonly (readonly string[])[]): string {
  return `
import dns from "node:dns";
import { isIP } from "node:net";
import { syncBuiltinESMExports } from "node:module";
const answers = ${JSON.stringify(answers)};
dns.lookup = (name, options, callback) => {
  if (name !== "registry.test") throw new Error("unexpected name " + name);
  const addresses = answers.length > 1 ? answers.shift() : answers[0];
  const all = addresses.map(address => ({ address, family: isIP(address) }));
  process.nextTick(() => (options.all ? callback(null, all) : callback(null, all[0].address, all[0].family)));
};
syncBuiltinESMExports();`;
}

function customSection(name: string, bytes: Buffer): Buffer {
  const content = Buffer.concat([Buffer.from([name.length]), Buffer.from(name), bytes]);
  return Buffer.concat([Buffer.from([0, content.length]), content]);
}

async function unlock(folder: string): Promise<void> {
  await chmod(folder, 0o755);
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    if (entry.isDirectory()) await unlock(join(folder, entry.name));
  }
}
