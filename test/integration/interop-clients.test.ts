import assert from "node:assert/strict";
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buffer } from "node:stream/consumers";
import { pack } from "tar-stream";
import { RegistryClient } from "../../src/oci/client.ts";
import { CNCF_CONFIG, CNCF_WASM, CONTENT_WASM, SOLO_CONFIG, SOLO_WASM } from "../../src/oci/media-types.ts";
import { moduleImage, type WrittenLayout } from "../../src/oci/module-image.ts";
import { pushModule } from "../../src/oci/push-module.ts";
import { parseReference } from "../../src/oci/reference.ts";
import { noopModule } from "../../src/wasm/noop-module.ts";
import { binaryOf } from "../environment/cluster/binaries.ts";
import { findGo } from "../environment/cluster/go.ts";
import { debianRegistry, debianRegistryUnavailable } from "../environment/debian-registry.ts";
import { startDistributionRegistry } from "../environment/distribution-registry.ts";
import { envoyBinary } from "../environment/envoy.ts";
import { bundledEntry, runFetcherProcess } from "../environment/fetcher-process.ts";
import { startReferrersRegistry } from "../environment/referrers-registry.ts";
import { startRegistry } from "../environment/registry/registry.ts";
import { unavailable } from "../environment/requirement.ts";
import { spawnChecked } from "../environment/spawn.ts";
import { samplePlan } from "../plan/sample.ts";
import { validate } from "./wasm-validate.ts";

interface RunningRegistry {
  readonly address: string;
  readonly stop: () => Promise<void>;
}

/** A registry, and why it can't be had on this machine. */
interface Server {
  readonly name: string;
  readonly problem: () => Promise<string | null>;
  readonly start: (folder: string) => Promise<RunningRegistry>;
}

const progress = (line: string) => console.log(`      ${line}`);
const none = () => Promise.resolve(null);

const SERVERS: readonly Server[] = [
  {
    name: "the distribution project's registry",
    problem: none,
    start: folder => startDistributionRegistry(folder, "127.0.0.1", progress),
  },
  {
    name: "Debian's docker-registry",
    problem: debianRegistryUnavailable,
    start: async folder =>
      startDistributionRegistry(folder, "127.0.0.1", progress, { program: await debianRegistry(progress) }),
  },
  { name: "go-containerregistry's, with referrers", problem: none, start: () => startReferrersRegistry(progress) },
  {
    name: "the registry of demo and tests",
    problem: none,
    start: async () => {
      const { address, close } = await startRegistry();
      return { address, stop: close };
    },
  },
];

for (const server of SERVERS) {
  describe(`${server.name}, between us and oras, crane and cosign`, function () {
    this.timeout(20 * 60_000);
    let folder: string;
    let files: string;
    let entry: string;
    let registry: RunningRegistry;
    let client: RegistryClient;

    before(async function () {
      const go = () => findGo().then(none, (error: Error) => error.message);
      const problem = (await go()) ?? (await server.problem());
      if (problem !== null) unavailable(this, problem);
      folder = await mkdtemp(join(tmpdir(), "wasmount-interop-"));
      files = join(folder, "files");
      await mkdir(join(files, "image"), { recursive: true });
      await writeFile(join(files, "filter.wasm"), noopModule);
      await writeFile(join(files, "image/plugin.wasm"), noopModule);
      await writeFile(join(files, "empty.json"), "{}");
      await writeFile(
        join(files, "config.json"),
        JSON.stringify({ architecture: "wasm", os: "wasip1", layerDigests: [] }),
      );
      await writeFile(
        join(files, "runtime-config.json"),
        JSON.stringify({ type: "envoy_proxy", config: { rootIds: ["r"] } }),
      );
      await writeFile(join(files, "plugin.tar"), await tarOf(noopModule));
      entry = await bundledEntry(folder);
      registry = await server.start(join(folder, "registry"));
      client = new RegistryClient({ registries: [{ host: registry.address, plainHttp: true }] });
    });

    after(async () => {
      client?.close();
      await registry?.stop();
      if (folder) await rm(folder, { recursive: true, force: true });
    });

    /** A run of one of the tools, in the folder of files, with nobody's configuration but an empty one. */
    const tool = async (name: "oras" | "crane" | "cosign", ...args: readonly string[]) =>
      spawnChecked(await binaryOf(name, progress), args, {
        cwd: files,
        env: { PATH: process.env["PATH"] ?? "", HOME: folder, DOCKER_CONFIG: folder, COSIGN_PASSWORD: "" },
      });
    const oras = (verb: string, ...args: readonly string[]) => tool("oras", verb, "--plain-http", ...args);
    const crane = (...args: readonly string[]) => tool("crane", "--insecure", ...args);
    const at = (rest: string) => `${registry.address}/${rest}`;

    /** The module that the fetcher puts on its volume, for an image's tag. */
    async function loaded(name: string): Promise<{ readonly bytes: Buffer; readonly log: string }> {
      const { digest } = await client.resolve(parseReference(at(name)));
      const root = join(folder, `volume-${name.replace(/\W/g, "-")}`);
      const repository = at(name).replace(/:[^:/]+$/, "");
      const registries = [{ host: registry.address, plainHttp: true }];
      const run = await runFetcherProcess({ ...samplePlan({ repository, digest }), root, registries }, { entry });
      assert.equal(run.exitCode, 0, run.log);
      const [module = ""] = await readdir(join(root, "modules"));
      const bytes = await readFile(join(root, "modules", module));
      for (const part of await readdir(root)) await chmod(join(root, part), 0o755);
      return { bytes, log: run.log };
    }

    async function push(layout: WrittenLayout, name: string): Promise<string> {
      const image = await moduleImage({ module: noopModule, name: "filter", layout, rootIds: ["one"] });
      return (await pushModule(client, parseReference(at(name)), image)).digest;
    }

    /** What each tool makes, by the layout that we take it for. */
    const theirs: readonly (readonly [what: string, layout: string, make: (name: string) => Promise<unknown>])[] = [
      ["oras push of a file", "titled", name => oras("push", at(name), "filter.wasm")],
      ["oras push by image-spec 1.0", "titled", name => oras("push", "--image-spec", "v1.0", at(name), "filter.wasm")],
      ["oras push of application/wasm", "cncf", name => oras("push", at(name), `filter.wasm:${CNCF_WASM}`)],
      [
        "oras push of a CNCF artifact with its config",
        "cncf",
        name => oras("push", "--config", `config.json:${CNCF_CONFIG}`, at(name), `filter.wasm:${CNCF_WASM}`),
      ],
      [
        "oras push of a CNCF artifact with its type",
        "cncf",
        name => oras("push", "--artifact-type", CNCF_CONFIG, at(name), `filter.wasm:${CNCF_WASM}`),
      ],
      [
        "oras push of wasme's two layers",
        "solo-oci",
        name =>
          oras(
            "push",
            "--config",
            `runtime-config.json:${SOLO_CONFIG}`,
            at(name),
            `runtime-config.json:${SOLO_CONFIG}`,
            `filter.wasm:${SOLO_WASM}`,
          ),
      ],
      ["oras push of one wasme layer", "solo-oci", name => oras("push", at(name), `filter.wasm:${SOLO_WASM}`)],
      ["oras push as wasm-to-oci does", "content", name => oras("push", at(name), `filter.wasm:${CONTENT_WASM}`)],
      ["oras push of a folder", "compat", name => oras("push", at(name), "image")],
      [
        "an index that oras makes of one image",
        "cncf",
        async name => {
          await oras("push", at(`${name}-child`), `filter.wasm:${CNCF_WASM}`);
          await tool("oras", "manifest", "index", "create", "--plain-http", at(name), at(`${name}-child`));
        },
      ],
      ["crane append, with Docker's types", "compat", name => crane("append", "-f", "plugin.tar", "-t", at(name))],
      [
        "crane append, with OCI's types",
        "compat",
        name => crane("append", "--oci-empty-base", "-f", "plugin.tar", "-t", at(name)),
      ],
      [
        "crane copy of ours",
        "cncf",
        async name => {
          await push("cncf", "ours/before-copy:1");
          await crane("copy", at("ours/before-copy:1"), at(name));
        },
      ],
      [
        "crane mutate of ours",
        "compat",
        async name => {
          await push("compat", name);
          await crane("mutate", "--annotation", "a=b", "-t", at(name), at(name));
        },
      ],
    ];

    for (const [index, [what, layout, make]] of theirs.entries()) {
      it(`we load ${what}, as ${layout}`, async () => {
        const name = `theirs/case-${index}:1`;
        await make(name);
        const { bytes, log } = await loaded(name);
        assert.ok(bytes.equals(noopModule));
        assert.match(log, new RegExp(`fetched .* \\(${layout}, `));
      });
    }

    it("Envoy accepts what was loaded", async () => {
      await oras("push", at("theirs/envoy:1"), "filter.wasm");
      const { bytes } = await loaded("theirs/envoy:1");
      assert.equal((await validate(await envoyBinary(progress), bytes)).outcome, "accepts");
    });

    for (const layout of ["cncf", "solo-oci", "compat"] as const) {
      it(`oras and crane read our ${layout} image byte for byte`, async () => {
        const digest = await push(layout, `ours/${layout}:1`);
        const { bytes } = await client.manifest(registry.address, `ours/${layout}`, digest);
        assert.equal((await crane("digest", at(`ours/${layout}:1`))).trim(), digest);
        assert.equal(await crane("manifest", at(`ours/${layout}:1`)), bytes.toString("utf8"));
        const output = join(folder, `pulled-${layout}`);
        await oras("pull", "--no-tty", "-o", output, at(`ours/${layout}:1`));
        if (layout === "compat") {
          assert.match(await crane("validate", "--remote", at(`ours/${layout}:1`)), /PASS/);
          const tar = join(folder, "exported.tar");
          await crane("export", at(`ours/${layout}:1`), tar);
          await spawnChecked("tar", ["-xf", tar, "-C", output]);
          assert.ok((await readFile(join(output, "plugin.wasm"))).equals(noopModule));
        } else {
          assert.ok((await readFile(join(output, "filter.wasm"))).equals(noopModule));
        }
        assert.match(await crane("ls", at(`ours/${layout}`)), /^1$/m);
      });
    }

    for (const format of ["bundle", "legacy"] as const) {
      it(`cosign signs our image (${format}) and verifies it, we read what it attached and still load the image`, async () => {
        const name = `signed/${format}`;
        const digest = await push("cncf", `${name}:1`);
        const key = join(folder, `${format}-key`);
        await tool("cosign", "generate-key-pair", "--output-key-prefix", key);
        const image = at(`${name}@${digest}`);
        const flags = ["--allow-http-registry", "--use-signing-config=false", "--tlog-upload=false", "--yes"];
        const old = format === "legacy" ? ["--new-bundle-format=false"] : [];
        await tool("cosign", "sign", "--key", `${key}.key`, ...flags, ...old, image);
        const checks = ["--allow-http-registry", "--insecure-ignore-tlog", ...old];
        await tool("cosign", "verify", "--key", `${key}.pub`, ...checks, image);
        assert.equal(await attachments(name, digest, format), 1);
        assert.ok((await loaded(`${name}:1`)).bytes.equals(noopModule));
      });
    }

    /** How many signatures of an image our client finds: under the old tag, or as referrers, by the tag or the interface. */
    async function attachments(repository: string, digest: string, format: "bundle" | "legacy"): Promise<number> {
      const tag = digest.replace(":", "-");
      if (format === "legacy") {
        const { manifest } = await client.manifest(registry.address, repository, `${tag}.sig`);
        return manifest.kind === "image" ? manifest.layers.length : 0;
      }
      const listed = await client.referrers(registry.address, repository, digest);
      const known = JSON.parse(
        await tool("oras", "discover", "--plain-http", "--format", "json", at(`${repository}@${digest}`)),
      );
      assert.deepEqual(
        listed.map(entry => entry.digest),
        known.referrers.map((entry: { digest: string }) => entry.digest),
      );
      for (const referrer of listed) {
        const { manifest } = await client.manifest(registry.address, repository, referrer.digest);
        assert.equal(manifest.subject?.digest, digest);
      }
      return listed.length;
    }
  });
}

async function tarOf(module: Buffer): Promise<Buffer> {
  const tar = pack();
  tar.entry({ name: "plugin.wasm", mtime: new Date(0) }, module);
  tar.finalize();
  return buffer(tar);
}
