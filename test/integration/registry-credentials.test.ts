import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { localCredentials } from "../../src/docker/local-credentials.ts";
import { pullSecretCredentials } from "../../src/fetcher/pull-secrets.ts";
import { RegistryClient } from "../../src/oci/client.ts";
import type { CredentialSource } from "../../src/oci/credentials.ts";
import { moduleImage } from "../../src/oci/module-image.ts";
import { pushModule } from "../../src/oci/push-module.ts";
import { parseReference, type Reference } from "../../src/oci/reference.ts";
import { NamespaceRegistries } from "../../src/webhook/namespace-registries.ts";
import { readRegistryCredentials } from "../../src/webhook/registry-credentials.ts";
import { binaryOf } from "../environment/cluster/binaries.ts";
import { findGo } from "../environment/cluster/go.ts";
import { type DistributionRegistry, startDistributionRegistry } from "../environment/distribution-registry.ts";
import { unavailable } from "../environment/requirement.ts";
import { spawnChecked } from "../environment/spawn.ts";
import { coded } from "../oci/scripted-server.ts";

const MODULE = Buffer.from([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0]);
/** The user "operator" with the password "hunter2" (bcrypt, of the least cost). */
const USERS = "operator:$2b$04$KsYTxHVlIp9c7QJidSsV3e4xT.eFgdmLk8SUAxnygHHM0gJlxY5Ne\n";

describe("a registry that wants a password", function () {
  this.timeout(10 * 60_000);
  let folder: string;
  let registry: DistributionRegistry;
  let reference: Reference;
  let digest: string;
  const clients: RegistryClient[] = [];

  const clientWith = (credentials: CredentialSource) => {
    const client = new RegistryClient({ registries: [{ host: registry.address, plainHttp: true }], credentials });
    clients.push(client);
    return client;
  };
  const login = { username: "operator", password: "hunter2" };
  const config = (entry: object) => JSON.stringify({ auths: { [registry.address]: entry } });

  before(async function () {
    const problem = await findGo().then(
      () => null,
      (error: Error) => error.message,
    );
    if (problem !== null) unavailable(this, problem);
    const progress = (line: string) => console.log(`      ${line}`);
    folder = await mkdtemp(join(tmpdir(), "wasmount-credentials-"));
    registry = await startDistributionRegistry(join(folder, "registry"), "127.0.0.1", progress, { htpasswd: USERS });
    reference = parseReference(`${registry.address}/team/filter:v1`);
    const image = await moduleImage({ module: MODULE, name: "filter", layout: "cncf" });
    ({ digest } = await pushModule(
      clientWith(() => [{ kind: "password", ...login }]),
      reference,
      image,
    ));
  });

  after(async () => {
    for (const client of clients) client.close();
    await registry?.stop();
    if (folder) await rm(folder, { recursive: true, force: true });
  });

  it("shows nothing to who has none, or a wrong one", async () => {
    const nobody = clientWith(() => []);
    await assert.rejects(nobody.resolve(reference), coded("Unauthorized", /wants credentials and there are none/));
    const wrong = clientWith(() => [{ kind: "password", ...login, password: "hunter3" }]);
    await assert.rejects(wrong.resolve(reference), coded("Unauthorized"));
  });

  it("resolves tags with the operator's credentials for the namespaces that they serve, and for no others", async () => {
    const file = join(folder, "operator.json");
    await writeFile(file, config(login));
    const repositories = [`${registry.address}/team/*`];
    const served = await readRegistryCredentials([{ file, namespaces: ["shop"], repositories }], []);
    const tags = new NamespaceRegistries({
      credentials: served,
      open: clientWith,
      budgetMs: 60_000,
      unmatched: "Warn",
      unread: () => {},
    });
    assert.deepEqual(await tags.resolve(reference, "shop"), { digest });
    for (const stranger of ["till", "shop"]) {
      const asked = stranger === "till" ? reference : { ...reference, repository: "other/filter" };
      const answer = await tags.resolve(asked, stranger);
      assert.ok("cause" in answer && answer.cause.startsWith("Unauthorized"), JSON.stringify(answer));
    }
  });

  it("gives the module to a pod whose second pull secret is the right one", async () => {
    const secrets = join(folder, "secrets");
    await mkdir(secrets);
    await writeFile(join(secrets, "0.json"), config({ ...login, password: "hunter3" }));
    await writeFile(join(secrets, "1.legacy.json"), JSON.stringify({ [`http://${registry.address}/v2/`]: login }));
    const credentials = await pullSecretCredentials({ folder: secrets, names: ["wrong", "right"] }, assert.fail);
    const client = clientWith(credentials);
    assert.equal((await client.resolve(reference)).digest, digest);
    await client.manifest(reference.registry, reference.repository, digest);
  });

  it("opens to what `oras login` keeps", async () => {
    const path = join(folder, "oras.json");
    const oras = await binaryOf("oras", () => {});
    const { username, password } = login;
    const options = ["--plain-http", "--registry-config", path, "-u", username, "-p", password];
    await spawnChecked(oras, ["login", ...options, registry.address]);
    const client = clientWith(await localCredentials({ path, environment: process.env, warn: assert.fail }));
    assert.equal((await client.resolve(reference)).digest, digest);
  });
});
