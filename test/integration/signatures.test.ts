import assert from "node:assert/strict";
import { generateKeyPairSync, type KeyObject } from "node:crypto";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { stringify } from "yaml";
import { RegistryClient } from "../../src/oci/client.ts";
import { moduleImage } from "../../src/oci/module-image.ts";
import { pushModule } from "../../src/oci/push-module.ts";
import { parseReference } from "../../src/oci/reference.ts";
import { noopModule } from "../../src/wasm/noop-module.ts";
import { binaryOf } from "../environment/cluster/binaries.ts";
import { findGo } from "../environment/cluster/go.ts";
import { type CommandOutcome, runCommand } from "../environment/command.ts";
import { startDistributionRegistry } from "../environment/distribution-registry.ts";
import { startRegistry } from "../environment/registry/registry.ts";
import { unavailable } from "../environment/requirement.ts";
import { spawnChecked } from "../environment/spawn.ts";

interface RunningRegistry {
  readonly address: string;
  readonly stop: () => Promise<void>;
}

const progress = (line: string) => console.log(`      ${line}`);

const SERVERS: readonly (readonly [name: string, start: (folder: string) => Promise<RunningRegistry>])[] = [
  [
    "a registry with the referrers API",
    async () => {
      const { address, close } = await startRegistry();
      return { address, stop: close };
    },
  ],
  [
    "the distribution project's registry, by the fallback tag",
    folder => startDistributionRegistry(folder, "127.0.0.1", progress),
  ],
];

const KINDS: Readonly<Record<string, () => { readonly publicKey: KeyObject; readonly privateKey: KeyObject }>> = {
  "P-256": () => generateKeyPairSync("ec", { namedCurve: "P-256" }),
  "P-384": () => generateKeyPairSync("ec", { namedCurve: "P-384" }),
  Ed25519: () => generateKeyPairSync("ed25519"),
  RSA: () => generateKeyPairSync("rsa", { modulusLength: 2048 }),
};
const FORMATS = ["bundle", "legacy"] as const;
const SIGN_FLAGS = ["--allow-http-registry", "--use-signing-config=false", "--tlog-upload=false", "--yes"];

for (const [server, start] of SERVERS) {
  describe(`signatures of cosign and of ours, in ${server}`, function () {
    // Many processes, one after the other.
    this.timeout(10 * 60_000);
    let folder: string;
    let registry: RunningRegistry;
    let client: RegistryClient;

    before(async function () {
      const problem = await findGo().then(
        () => null,
        (error: Error) => error.message,
      );
      if (problem !== null) unavailable(this, problem);
      folder = await mkdtemp(join(tmpdir(), "wasmount-signatures-"));
      registry = await start(join(folder, "registry"));
      client = new RegistryClient({ registries: [{ host: registry.address, plainHttp: true }] });
      for (const [kind, make] of Object.entries(KINDS)) {
        const { publicKey, privateKey } = make();
        await writeFile(join(folder, `${kind}.pub`), publicKey.export({ type: "spki", format: "pem" }));
        await writeFile(join(folder, `${kind}.key`), privateKey.export({ type: "pkcs8", format: "pem" }), {
          mode: 0o600,
        });
        await cosign("import-key-pair", "--key", `${kind}.key`, "--output-key-prefix", `cosign-${kind}`);
      }
    });

    after(async () => {
      client?.close();
      await registry?.stop();
      if (folder) await rm(folder, { recursive: true, force: true });
    });

    async function cosign(...args: readonly string[]) {
      return spawnChecked(await binaryOf("cosign", progress), args, {
        cwd: folder,
        env: { PATH: process.env["PATH"] ?? "", HOME: folder, DOCKER_CONFIG: folder, COSIGN_PASSWORD: "" },
      });
    }

    function wasmount(...args: readonly string[]): Promise<CommandOutcome> {
      const env = { ...process.env, DOCKER_CONFIG: folder, WASMOUNT_STORE: join(folder, "store") };
      return runCommand([...args, "--quiet"], { cwd: folder, env });
    }

    async function exits(code: number, ...args: readonly string[]): Promise<string> {
      const outcome = await wasmount(...args);
      assert.equal(outcome.code, code, outcome.stderr + outcome.stdout);
      return outcome.stdout + outcome.stderr;
    }

    /** An image, new for each test. @returns its reference with the digest */
    async function image(name: string): Promise<string> {
      const repository = `${registry.address}/${name.toLowerCase()}`;
      const pushed = await moduleImage({ module: noopModule, name: "filter", layout: "cncf", annotations: { name } });
      const { digest } = await pushModule(client, parseReference(`${repository}:1`), pushed);
      return `${repository}@${digest}`;
    }

    for (const kind of Object.keys(KINDS)) {
      for (const format of FORMATS) {
        const old = format === "legacy" ? ["--new-bundle-format=false"] : [];
        const other = kind === "P-256" ? "P-384" : "P-256";

        // With a key of this kind cosign 3.1.2 signs by Ed25519ph and verifies by Ed25519: it does not take its own either.
        if (kind !== "Ed25519")
          it(`cosign signs and ours verifies: ${kind}, ${format}`, async () => {
            const reference = await image(`theirs/${format}/${kind}`);
            const repository = reference.replace(/@.*/, "");
            const says = ["-a", "env=prod", "-a", `wasmount.dev/repository=${repository}`];
            await cosign("sign", "--key", `cosign-${kind}.key`, ...SIGN_FLAGS, ...old, ...says, reference);
            await exits(0, "verify", reference, "--key", `${kind}.pub`, "--annotation", "env=prod");
            assert.match(await exits(1, "verify", reference, "--key", `${other}.pub`), /WrongKey/);
            assert.match(
              await exits(1, "verify", reference, "--key", `${kind}.pub`, "--annotation", "env=dev"),
              /AnnotationMismatch: the annotation "env" is "prod", and has to be "dev"/,
            );
          });

        it(`ours signs and cosign verifies: ${kind}, ${format}`, async () => {
          const reference = await image(`ours/${format}/${kind}`);
          const legacy = format === "legacy" ? ["--legacy"] : [];
          await exits(0, "sign", reference, "--key", `${kind}.key`, "--annotation", "env=prod", ...legacy);
          await exits(0, "verify", reference, "--key", `${kind}.pub`, "--annotation", "env=prod");
          // cosign signs with SHA-384 by such a key, and has to be told to verify so.
          const hash = kind === "P-384" ? ["--signature-digest-algorithm", "sha384"] : [];
          const checks = ["--allow-http-registry", "--insecure-ignore-tlog", ...old, ...hash];
          await cosign("verify", "--key", `cosign-${kind}.pub`, ...checks, "-a", "env=prod", reference);
          await assert.rejects(cosign("verify", "--key", `cosign-${other}.pub`, ...checks, reference));
        });
      }
    }

    it("both formats, both signers, one image, two of two", async () => {
      const reference = await image("both");
      await cosign("sign", "--key", "cosign-P-256.key", ...SIGN_FLAGS, "--new-bundle-format=false", reference);
      await exits(0, "sign", reference, "--key", "RSA.key", "--legacy");
      await exits(0, "sign", reference, "--key", "Ed25519.key");
      await exits(0, "verify", reference, "--key", "P-256.pub", "RSA.pub", "Ed25519.pub");
      assert.match(
        await exits(1, "verify", reference, "--key", "P-256.pub", "P-384.pub"),
        /signed by 1 of the 2 needed/,
      );
      const checks = ["--allow-http-registry", "--insecure-ignore-tlog", "--new-bundle-format=false"];
      for (const kind of ["P-256", "RSA"]) await cosign("verify", "--key", `cosign-${kind}.pub`, ...checks, reference);
    });

    it("a signature of cosign's without a repository, and a copy's, count only where that is wanted", async () => {
      const reference = await image("unbound/filter");
      await cosign("sign", "--key", "cosign-P-256.key", ...SIGN_FLAGS, reference);
      assert.match(
        await exits(1, "verify", reference, "--key", "P-256.pub"),
        /RepositoryMismatch: the signature names no/,
      );
      await exits(0, "verify", reference, "--key", "P-256.pub", "--any-repository");
      const bound = await image("origin/filter");
      await exits(0, "sign", bound, "--key", "P-256.key");
      const copy = bound.replace("origin/", "copied/").replace(/@.*/, ":1");
      await exits(0, "copy", "-r", bound, copy);
      assert.match(await exits(1, "verify", copy, "--key", "P-256.pub"), /the signature is for "[^"]*origin\/filter"/);
      const remapPrefix = { from: `${registry.address}/origin`, to: `${registry.address}/copied` };
      await writePolicy("remap.yaml", { identity: "RemapPrefix", remapPrefix });
      await exits(0, "verify", copy, "--policy", "remap.yaml");
    });

    it("cosign's attestations count by type and signer, beside a signature and in place of none", async () => {
      const reference = await image("attested/filter");
      await writeFile(
        join(folder, "provenance.json"),
        JSON.stringify({ buildDefinition: { buildType: "https://x.example" } }),
      );
      const attest = (key: string) =>
        cosign(
          "attest",
          "--key",
          `cosign-${key}.key`,
          "--type",
          "slsaprovenance1",
          "--predicate",
          "provenance.json",
          ...SIGN_FLAGS,
          reference,
        );
      const predicateType = "https://slsa.dev/provenance/v1";
      const attestations = [{ predicateType, authorities: ["release"] }];
      await writePolicy("attested.yaml", {}, { attestations });
      await exits(0, "sign", reference, "--key", "P-256.key");
      const stated = /not stated \(https:\/\/slsa.dev\/provenance\/v1\)/;
      assert.match(await exits(1, "policy", "test", reference, "-f", "attested.yaml"), stated);
      await attest("P-384");
      assert.match(await exits(1, "policy", "test", reference, "-f", "attested.yaml"), stated);
      await attest("P-256");
      await exits(0, "policy", "test", reference, "-f", "attested.yaml");
      const unsigned = await image("attested/unsigned");
      await cosign(
        "attest",
        "--key",
        "cosign-P-256.key",
        "--type",
        "slsaprovenance1",
        "--predicate",
        "provenance.json",
        ...SIGN_FLAGS,
        unsigned,
      );
      assert.match(await exits(1, "policy", "test", unsigned, "-f", "attested.yaml"), /not signed \(release: /);
    });

    it("policies say which images they are for, and why they deny", async () => {
      const signed = await image("policies/signed");
      const unsigned = await image("policies/unsigned");
      await exits(0, "sign", signed, "--key", "P-256.key");
      await writePolicy("policy.yaml", {});
      const report = await exits(1, "policy", "test", signed, unsigned, "-f", "policy.yaml");
      assert.match(report, /policies\/signed@.*: allowed/);
      assert.match(report, /policies\/unsigned@.*: DENIED/);
      assert.match(report, /denied: WasmPolicy\/release: not signed \(release: no signature found\)/);
      const json = JSON.parse((await wasmount("policy", "test", signed, "-f", "policy.yaml", "--json")).stdout);
      assert.equal(json[0].allowed, true);
      await writeFile(join(folder, "broken.yaml"), "kind: WasmPolicy\nspek: {}\n");
      assert.match(
        await exits(2, "policy", "test", signed, "-f", "broken.yaml"),
        /unknown key spek: did you mean spec\?/,
      );
      assert.match(await exits(2, "sign", signed, "--key", "cosign-P-256.key"), /cosign's own form/);
      assert.match(await exits(2, "verify", signed), /nothing to verify by/);
    });

    async function writePolicy(file: string, authority: object, verify: object = {}): Promise<void> {
      const pem = await readFile(join(folder, "P-256.pub"), "utf8");
      const policy = {
        apiVersion: "wasmount.dev/v1alpha1",
        kind: "WasmPolicy",
        metadata: { name: "release" },
        spec: {
          match: { repositories: [`${registry.address}/**`] },
          verify: { authorities: [{ name: "release", key: { pem }, ...authority }], ...verify },
        },
      };
      await writeFile(join(folder, file), stringify(policy));
    }
  });
}
