import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
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
import { type CommandOutcome, runCommand, startCommand } from "../environment/command.ts";
import { type Registry, startRegistry } from "../environment/registry/registry.ts";
import { unavailable } from "../environment/requirement.ts";
import { spawnChecked } from "../environment/spawn.ts";
import { until } from "../environment/until.ts";
import { ISSUER, identityTokenOf, privateSigstore, SUBJECT } from "../trust/private-sigstore.ts";
import { type SigstoreServers, sigstoreServers } from "../trust/sigstore-servers.ts";

describe("wasmount sign --keyless", function () {
  // Many processes, one after the other.
  this.timeout(5 * 60_000);
  const token = identityTokenOf();
  let folder: string;
  let registry: Registry;
  let servers: SigstoreServers;
  let reference: string;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "wasmount-keyless-"));
    registry = await startRegistry();
    const sigstore = await privateSigstore();
    servers = await sigstoreServers(sigstore);
    await writeFile(join(folder, "token"), `${token}\n`, { mode: 0o600 });
    await writeFile(join(folder, "trusted_root.json"), sigstore.trustedRoot);
    for (const [name, issuer] of [
      ["policy.yaml", ISSUER],
      ["other.yaml", "https://other.example"],
    ] as const)
      await writeFile(join(folder, name), policyBy(issuer));
    const client = new RegistryClient({ registries: [{ host: registry.address, plainHttp: true }] });
    const repository = `${registry.address}/team/filter`;
    const image = await moduleImage({ module: noopModule, name: "filter", layout: "cncf", annotations: {} });
    const { digest } = await pushModule(client, parseReference(`${repository}:1`), image);
    client.close();
    reference = `${repository}@${digest}`;
  });

  after(async () => {
    await servers.close();
    await registry.close();
    await rm(folder, { recursive: true });
  });

  beforeEach(() => {
    for (const name of ["fulcio", "rekor", "timestamp"] as const) delete servers.answers[name];
  });

  function policyBy(issuer: string): string {
    const trustedRootRef = { configMap: "sigstore-root", key: "trusted_root.json" };
    const keyless = { trustedRootRef, identities: [{ issuer, subject: SUBJECT }] };
    return stringify({
      apiVersion: "wasmount.dev/v1alpha1",
      kind: "WasmPolicy",
      metadata: { name: "release" },
      spec: {
        match: { repositories: [`${registry.address}/**`] },
        verify: { authorities: [{ name: "ci", keyless }] },
      },
    });
  }

  /** Runs a verb, and sees that nothing of the token is in what it prints. */
  async function exits(
    code: number,
    args: readonly string[],
    environment: NodeJS.ProcessEnv = {},
  ): Promise<CommandOutcome> {
    const { PATH } = process.env;
    const env = { PATH, HOME: folder, WASMOUNT_STORE: join(folder, "store"), ...environment };
    const outcome = await runCommand(args, { cwd: folder, env });
    const printed = outcome.stdout + outcome.stderr;
    assert.equal(outcome.code, code, printed);
    for (const part of token.split(".").slice(1)) assert.ok(!printed.includes(part), "the token is printed");
    return outcome;
  }

  const sign = (...flags: readonly string[]) => [
    ...["sign", reference, "--keyless", "--fulcio-url", servers.fulcio.href, "--rekor-url", servers.rekor.href],
    ...flags,
  ];
  const verify = (policy: string) => [
    ...["verify", reference, "--policy", policy, "--material", "sigstore-root/trusted_root.json=trusted_root.json"],
  ];

  it("signs as who the token names, for verify by a policy", async () => {
    await exits(1, verify("policy.yaml"));
    const { stdout } = await exits(0, sign("--identity-token-file", "token"));
    assert.equal(stdout, `${reference}\n`);
    await exits(0, verify("policy.yaml"));
    const { stdout: denied } = await exits(1, verify("other.yaml"));
    assert.match(denied, /IdentityMismatch/);
  });

  it("signs what cosign verifies by the same root", async function () {
    const problem = await findGo().then(
      () => null,
      (error: Error) => error.message,
    );
    if (problem !== null) unavailable(this, problem);
    await exits(0, sign("--identity-token-file", "token", "--annotation", "env=prod"));
    const cosign = (subject: string) => [
      ...["verify", "--trusted-root", "trusted_root.json", "--allow-http-registry", "-a", "env=prod"],
      ...["--certificate-oidc-issuer", ISSUER, "--certificate-identity", subject, reference],
    ];
    const options = {
      cwd: folder,
      env: { PATH: process.env["PATH"] ?? "", HOME: folder, DOCKER_CONFIG: folder },
    };
    const program = await binaryOf("cosign", line => console.log(`      ${line}`));
    await spawnChecked(program, cosign(SUBJECT), options);
    await assert.rejects(spawnChecked(program, cosign(`${SUBJECT}x`), options), /no(ne of the)? matching|identit/i);
  });

  it("takes the token from the environment, and says what it did as JSON", async () => {
    const flags = sign("--json", "--timestamp-url", servers.timestamp.href);
    const { stdout } = await exits(0, flags, { SIGSTORE_ID_TOKEN: token });
    assert.equal(JSON.parse(stdout).reference, reference);
    assert.match(JSON.parse(stdout).signature, /^sha256:/);
    assert.ok(servers.requests.includes("POST /api/v1/timestamp"));
  });

  it("ends with 1 where a service refuses, and signs nothing", async () => {
    const pushes = () => registry.requests.filter(request => request.startsWith("PUT")).length;
    const before = pushes();
    servers.answers.fulcio = { statusCode: 400, response: `{"message":"${token}"}`, contentType: "application/json" };
    const { stderr } = await exits(1, sign("--identity-token-file", "token"));
    assert.match(
      stderr,
      /^wasmount sign: the certificate authority \(Fulcio, .*\) refused a certificate: HTTP 400.*\n$/,
    );
    const { stdout } = await exits(1, sign("--identity-token-file", "token", "--json"));
    assert.equal(JSON.parse(stdout).error.code, "NotSigned");
    assert.equal(pushes(), before);
  });

  it("ends at once when it is interrupted, whatever a service does", async () => {
    servers.answers.fulcio = new Promise(() => {});
    const env = { PATH: process.env["PATH"], HOME: folder, SIGSTORE_ID_TOKEN: token };
    const before = servers.requests.length;
    const child = startCommand(sign(), { cwd: folder, env });
    const ended = once(child, "close");
    await until("a request", () => servers.requests.length > before, { pauseMs: 20 });
    const interrupted = performance.now();
    child.kill("SIGINT");
    assert.deepEqual(await ended, [130, null]);
    assert.ok(performance.now() - interrupted < 5000);
  });

  it("ends with 2 where there is no token, and asks nobody", async () => {
    const before = [registry.requests.length, servers.requests.length];
    assert.match((await exits(2, sign())).stderr, /no identity token is at hand: .*--identity-token-file.*SIGSTORE_ID/);
    assert.match((await exits(2, sign("--identity-token-file", "none"))).stderr, /none can't be read: ENOENT/);
    assert.match((await exits(2, sign("--identity-token-file", "."))).stderr, /can't be read: EISDIR/);
    await writeFile(join(folder, "large"), "a".repeat(1024 * 1024));
    assert.match((await exits(2, sign("--identity-token-file", "large"))).stderr, /large has more than 65536 bytes/);
    assert.deepEqual([registry.requests.length, servers.requests.length], before);
  });

  it("ends with 2 where flags contradict each other", async () => {
    const says = async (flags: readonly string[], message: RegExp) =>
      assert.match((await exits(2, ["sign", reference, ...flags])).stderr, message);
    await says(["--keyless", "--key", "release.key"], /'--keyless' cannot be used with option '--key <file>'/);
    await says(["--keyless", "--legacy"], /'--keyless' cannot be used with option '--legacy'/);
    await says(["--key", "release.key", "--rekor-url", "https://rekor.example"], /cannot be used with option '--key/);
    await says([], /nothing to sign with: write --key FILE or --keyless/);
    await says(["--keyless", "--fulcio-url", "http://fulcio.example"], /without TLS only services on this machine/);
    await says(["--keyless", "--fulcio-url", "https://user:secret@fulcio.example"], /without user/);
  });
});
