import assert from "node:assert/strict";
import { generateKeyPairSync, type KeyObject, sign as signBytes } from "node:crypto";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parse } from "yaml";
import { PREFIX } from "../../src/admission/key.ts";
import { runFetcher } from "../../src/fetcher/run.ts";
import { RegistryClient } from "../../src/oci/client.ts";
import { OCI_INDEX } from "../../src/oci/media-types.ts";
import { moduleImage } from "../../src/oci/module-image.ts";
import { pushModule } from "../../src/oci/push-module.ts";
import { parseReference } from "../../src/oci/reference.ts";
import { planFromEnvironment, planToEnvironment } from "../../src/plan/transport.ts";
import { attachBundle } from "../../src/trust/attaching.ts";
import { preAuthEncoding } from "../../src/trust/bundle.ts";
import type { Signature } from "../../src/trust/evidence.ts";
import { PAYLOAD_TYPE } from "../../src/trust/statement.ts";
import { noopModule } from "../../src/wasm/noop-module.ts";
import { clusterUnavailable, openCluster } from "../environment/cluster/cluster.ts";
import { type DistributionRegistry, startDistributionRegistry } from "../environment/distribution-registry.ts";
import { exampleManifest } from "../environment/example.ts";
import { Kubectl } from "../environment/kubectl.ts";
import { makeNamespace } from "../environment/namespace.ts";
import { registerWebhook } from "../environment/registration.ts";
import { unavailable } from "../environment/requirement.ts";
import { type ServiceAccount, webhookAccount } from "../environment/service-account.ts";
import { spawnChecked } from "../environment/spawn.ts";
import type { Manifest } from "../environment/stage.ts";
import { until } from "../environment/until.ts";
import { MAIN, startWebhookProcess, type WebhookProcess } from "../environment/webhook-process.ts";
import { ISSUER, privateSigstore, SUBJECT, statementOf } from "../trust/private-sigstore.ts";

const OWN = "integration-policies-system";
const NAMESPACE = "integration-policies";
const OTHER = "integration-policies-other";
const POLICIES = ["integration-release", "integration-prod", "integration-secret"];
const FOUND_SECONDS = 20;

describe("policies of a cluster, by a real API server and a real registry,", function () {
  this.timeout(15 * 60_000);
  let folder: string;
  let kubectl: Kubectl;
  let account: ServiceAccount;
  /** Null once it was stopped. */
  let running: DistributionRegistry | null = null;
  let registry: DistributionRegistry;
  let client: RegistryClient;
  let webhook: WebhookProcess;
  let unregister: (() => Promise<void>) | undefined;
  let pod: Manifest;
  let images = 0;

  before(async function () {
    const reason = await clusterUnavailable({ node: false });
    if (reason !== null) unavailable(this, reason);
    const progress = (line: string) => console.log(`      ${line}`);
    const cluster = await openCluster({ node: false, progress });
    kubectl = new Kubectl(cluster);
    folder = await mkdtemp(join(tmpdir(), "wasmount-policies-"));
    registry = await startDistributionRegistry(join(folder, "registry"), "127.0.0.1", progress);
    running = registry;
    client = new RegistryClient({ registries: [{ host: registry.address, plainHttp: true }] });
    for (const name of ["release", "next"]) await newKey(name);
    account = await webhookAccount(cluster, OWN, folder);
    for (const name of [NAMESPACE, OTHER])
      await makeNamespace(kubectl, name, { labels: { [`${PREFIX}inject`]: "true" } });
    webhook = await startWebhookProcess({
      folder: join(folder, "webhook"),
      namespaces: ["--kubeconfig", account.kubeconfigPath],
      config: {
        fetcher: { image: "registry.example/wasmount:1" },
        registries: [{ host: registry.address, plainHttp: true }],
        pins: { namespace: OWN },
        policy: { unmatched: "Deny" },
      },
    });
    const namespaces = [NAMESPACE, OTHER];
    unregister = await registerWebhook(cluster.kubeConfig, { ...webhook, name: NAMESPACE, namespaces });
    pod = parse(await exampleManifest("pod")) as Manifest;
  });

  after(async () => {
    await unregister?.();
    if (kubectl) await kubectl.run(["delete", "wasmpolicies", ...POLICIES, "--ignore-not-found"]);
    await webhook?.stop();
    await account?.remove();
    await kubectl?.run(["delete", "namespace", NAMESPACE, OTHER, "--ignore-not-found", "--wait=false"]);
    client?.close();
    await running?.stop();
    if (folder) await rm(folder, { recursive: true, force: true });
  });

  afterEach(async () => {
    await kubectl?.run(["delete", "wasmpolicies", ...POLICIES, "--ignore-not-found"]);
    await kubectl?.run(["delete", "namespacedwasmpolicies", "--all", "-n", NAMESPACE]);
  });

  const keys = new Map<string, string>();
  const privateKeys = new Map<string, KeyObject>();

  async function newKey(name: string): Promise<void> {
    const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    privateKeys.set(name, privateKey);
    keys.set(name, publicKey.export({ type: "spki", format: "pem" }).toString());
    await writeFile(join(folder, `${name}.key`), privateKey.export({ type: "pkcs8", format: "pem" }));
  }

  const pem = (name: string) => keys.get(name) ?? assert.fail(name);
  const sign = (image: string, key = "release") =>
    spawnChecked(process.execPath, [MAIN, "sign", image, "--key", join(folder, `${key}.key`)], {});

  /** Pushes an image that nobody has seen; "name:tag" and "name@digest" below the registry. */
  async function push(tagged: string): Promise<string> {
    images += 1;
    const image = await moduleImage({ module: Buffer.from(noopModule), name: `image-${images}`, layout: "cncf" });
    const { digest } = await pushModule(client, parseReference(`${registry.address}/${tagged}`), image);
    return `${registry.address}/${tagged.split(":")[0]}@${digest}`;
  }

  function manifest(name: string, spec: object, namespace?: string): Manifest {
    return {
      apiVersion: "wasmount.dev/v1alpha1",
      kind: namespace === undefined ? "WasmPolicy" : "NamespacedWasmPolicy",
      metadata: { name, ...(namespace === undefined ? {} : { namespace }) },
      spec: {
        match: { repositories: [`${registry.address}/**`] },
        verify: { authorities: [{ name: "release", key: { pem: pem("release") } }] },
        ...spec,
      },
    };
  }

  /** Applies a policy and waits until its status says this of the present generation. */
  async function apply(policy: Manifest, ready = "True"): Promise<Manifest> {
    await kubectl.apply(policy);
    return condition(policy, ready);
  }

  async function condition({ kind, metadata: { name, namespace } }: Manifest, ready: string): Promise<Manifest> {
    const place = namespace === undefined ? [] : ["-n", namespace];
    let last: Manifest;
    const look = async () => {
      const { metadata, status } = await kubectl.get<Manifest>(kind, name, ...place);
      last = status;
      const found = status?.conditions?.find(({ type }: Manifest) => type === "Ready");
      return found?.status === ready && status.observedGeneration === metadata.generation ? status : null;
    };
    const what = () => `${kind} ${name} to be ready: ${ready}, and not ${JSON.stringify(last)}\n${webhook.log()}`;
    return until(what, look, { seconds: FOUND_SECONDS, pauseMs: 100, bears: () => false });
  }

  /** What a pod with an image would become. */
  async function create(
    image: string,
    {
      namespace = NAMESPACE,
      owner,
      ...metadata
    }: { namespace?: string; owner?: string; [member: string]: unknown } = {},
  ): Promise<Manifest> {
    const made = structuredClone(pod);
    const annotations = { [`${PREFIX}module.headers`]: image, ...(metadata["annotations"] as object) };
    made.metadata = { ...metadata, name: "shop", namespace, annotations };
    if (owner) {
      const reference = { apiVersion: "apps/v1", kind: "ReplicaSet", name: "shop", uid: owner, controller: true };
      made.metadata.ownerReferences = [reference];
    }
    const dry = owner === undefined ? ["--dry-run=server"] : [];
    if (owner) made.metadata.name = `shop-${Math.random().toString(36).slice(2)}`;
    return JSON.parse(await kubectl.run(["create", ...dry, "-f", "-", "-o", "json"], JSON.stringify(made)));
  }

  const denied = (image: string, says: RegExp, options = {}) =>
    assert.rejects(create(image, options), { message: says });
  const NOT_SIGNED =
    /wasmount: PolicyDenied: .*WasmPolicy\/integration-release: not signed \(release: no signature found\)/;

  function planOf({ spec }: Manifest) {
    const [fetcher] = spec.initContainers;
    const variables = fetcher.env.map(({ name, value }: Manifest) => [name, value]);
    return planFromEnvironment(Object.fromEntries(variables)).plan;
  }

  it("say of themselves that they are in force, for people too", async () => {
    const { conditions, policyHash } = await apply(manifest("integration-release", {}));
    assert.deepEqual(
      conditions.map(({ type, status }: Manifest) => `${type}=${status}`),
      ["Ready=True", "KeysValid=True"],
    );
    assert.match(policyHash, /^[a-f0-9]{64}$/);
    assert.match(
      await kubectl.run(["get", "wasmpolicies", "integration-release", "--no-headers"]),
      /Enforce\s+1\s+True/,
    );
  });

  it("deny what nobody signed, and what none of them is for", async () => {
    const image = await push("team/unsigned:1");
    await denied(image, /PolicyDenied: .*no WasmPolicy is for .*team\/unsigned: nobody vouches for it/);
    await apply(manifest("integration-release", {}));
    await denied(image, NOT_SIGNED);
  });

  it("let in what is signed, with the digest that was verified and the rules to verify it by", async () => {
    await apply(manifest("integration-release", {}));
    const image = await push("team/signed:1");
    await sign(image);
    const { plan, digest } = await create(`${registry.address}/team/signed:1`).then(made => {
      const plan = planOf(made);
      return { plan, digest: plan.filters[0]?.digest };
    });
    assert.ok(image.endsWith(`@${digest}`));
    assert.deepEqual(plan.filters[0]?.trust, { rules: ["WasmPolicy/integration-release"], deferred: false });
    assert.equal(plan.rules?.[0]?.authorities[0]?.name, "release");
  });

  it("judge the digest that is pinned, and pin the one they judged, though the tag moves (1, 2)", async () => {
    await apply(manifest("integration-release", {}));
    const image = await push("team/moving:1");
    await sign(image);
    const tag = `${registry.address}/team/moving:1`;
    const digestOf = async (owner: string) => planOf(await create(tag, { owner })).filters[0]?.digest;
    const first = await digestOf("6ba7b810-0000-4000-8000-000000000001");
    assert.ok(image.endsWith(`@${first}`));
    await push("team/moving:1");
    assert.equal(await digestOf("6ba7b810-0000-4000-8000-000000000001"), first, "the same owner");
    await denied(tag, NOT_SIGNED, { owner: "6ba7b810-0000-4000-8000-000000000002" });
  });

  it("count from the moment they are edited (3)", async () => {
    await apply(manifest("integration-release", {}));
    const image = await push("team/edited:1");
    await sign(image);
    await create(image);
    const next = { verify: { authorities: [{ name: "next", key: { pem: pem("next") } }] } };
    await apply(manifest("integration-release", next));
    await denied(image, /not signed \(next: the signature found is not by this key\)/);
    const both = {
      verify: {
        minimum: 1,
        authorities: [...next.verify.authorities, { name: "release", key: { pem: pem("release") } }],
      },
    };
    await apply(manifest("integration-release", both));
    await create(image);
    await apply(manifest("integration-release", { verify: { ...both.verify, minimum: 2 } }));
    await denied(image, /signed by 1 of the 2 needed/);
  });

  it("take keys from Secrets that are marked for it, and say which is missing", async () => {
    const authorities = [{ name: "ops", key: { secretRef: { name: "keys", key: "cosign.pub" } } }];
    const policy = manifest("integration-secret", { verify: { authorities } });
    const { conditions } = await apply(policy, "False");
    const [, valid] = conditions;
    assert.deepEqual([valid.type, valid.status, valid.reason], ["KeysValid", "False", "BadKey"]);
    const image = await push("team/secret:1");
    await sign(image);
    await denied(
      image,
      /WasmPolicy\/integration-secret can't be used: .*Secret keys, key cosign\.pub, and that is not there/,
    );
    const data = (key: string) => ({ "cosign.pub": Buffer.from(pem(key)).toString("base64") });
    const secret = (key: string, labels: object) => ({
      apiVersion: "v1",
      kind: "Secret",
      metadata: { name: "keys", namespace: OWN, labels },
      data: data(key),
    });
    await kubectl.apply(secret("release", {}));
    await sleep(1_000);
    await denied(image, /and that is not there/);
    await kubectl.apply(secret("release", { "wasmount.dev/trust-material": "true" }));
    await condition(policy, "True");
    await create(image);
    await kubectl.apply(secret("next", { "wasmount.dev/trust-material": "true" }));
    await eventually(() => denied(image, /not signed \(ops: the signature found is not by this key\)/));
    assert.ok(!webhook.log().includes(data("next")["cosign.pub"]));
  });

  it("take certificates by a root of one's own, at admission and in the fetcher", async () => {
    const sigstore = await privateSigstore();
    const trustedRootRef = { configMap: "sigstore-root", key: "trusted_root.json" };
    const keyless = { trustedRootRef, identities: [{ issuer: ISSUER, subject: SUBJECT }] };
    const policy = manifest("integration-secret", { verify: { authorities: [{ name: "ci", keyless }] } });
    const { conditions } = await apply(policy, "False");
    assert.deepEqual(
      conditions.map(({ type, status }: Manifest) => `${type}=${status}`),
      ["Ready=False", "TrustRootValid=False"],
    );
    const root = (text: string) => ({
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { name: "sigstore-root", namespace: OWN, labels: { "wasmount.dev/trust-material": "true" } },
      data: { "trusted_root.json": text },
    });
    await kubectl.apply(root("{}"));
    await apply(policy, "False");
    await kubectl.apply(root(sigstore.trustedRoot));
    await condition(policy, "True");
    const image = await push("team/keyless:1");
    await denied(image, /not signed \(ci: no signature found\)/);
    const { registry: host, repository, digest } = parseReference(image);
    const statement = statementOf(`${host}/${repository}`, digest ?? "");
    const attach = async (signature: Signature) => {
      const bytes = signature.format === "sigstoreBundle" ? signature.bytes : assert.fail();
      const subject = await client.manifest(host, repository, digest ?? "");
      await attachBundle(
        client,
        { registry: host, repository },
        subject,
        bytes,
        new Date(),
        new AbortController().signal,
      );
    };
    // Certificates begin when they are made, to the second.
    const soon = () => new Date(Date.now() + 1_000);
    await attach(await sigstore.sign({ statement, subject: `${SUBJECT}-evil`, logged: soon() }));
    await eventually(() =>
      denied(image, /not signed \(ci: it is signed by ".*main-evil" of ".*", not ".*main" by ".*"\)/),
    );
    await attach(await sigstore.sign({ statement, logged: soon() }));
    await eventually(() => create(image));
    const plan = planOf(await create(image));
    const fetched = join(folder, "keyless");
    await mkdir(fetched);
    const { variables } = planToEnvironment({ ...plan, root: fetched, bootstrap: null });
    const environment = Object.fromEntries(variables.map(({ name, value }) => [name, value]));
    const stop = new AbortController().signal;
    const run = await runFetcher({ environment, userAgent: "test", log: () => {}, stop });
    assert.equal(run.exitCode, 0, run.line);
    assert.deepEqual(run.modules[0]?.verified, ["WasmPolicy/integration-secret"]);
  });

  it("of a namespace demand more, and vouch for nothing", async () => {
    const image = await push("team/own:1");
    await sign(image);
    const own = { verify: { authorities: [{ name: "own", key: { pem: pem("next") } }] } };
    await apply(manifest("own", {}, NAMESPACE));
    await denied(image, /no WasmPolicy is for/);
    await apply(manifest("integration-release", {}));
    await create(image);
    await apply(manifest("own", own, NAMESPACE));
    await denied(image, /NamespacedWasmPolicy\/integration-policies\/own: not signed/);
    await create(image, { namespace: OTHER });
    await sign(image, "next");
    await eventually(() => create(image));
  });

  it("are for namespaces as they are, whatever a pod says (5, 11, 12)", async () => {
    const image = await push("team/forged:1");
    const match = { repositories: [`${registry.address}/**`], namespaceSelector: { matchLabels: { env: "prod" } } };
    await apply(manifest("integration-prod", { match }));
    await denied(image, /no WasmPolicy is for/);
    await kubectl.run(["label", "namespace", NAMESPACE, "env=prod"]);
    const says = /WasmPolicy\/integration-prod: not signed/;
    await eventually(() => denied(image, says));
    for (const forged of [
      { annotations: { [`${PREFIX}status`]: '{"version":1,"filters":[{"verifiedBy":"both"}]}' } },
      { deletionTimestamp: "2020-01-01T00:00:00Z", deletionGracePeriodSeconds: 0 },
      { labels: { [`${PREFIX}injected`]: "true", env: "dev" } },
    ]) {
      await denied(image, says, forged);
    }
    await kubectl.run(["label", "namespace", NAMESPACE, "env-"]);
  });

  it("take no signature for what it is not of (14, 15, 16, 32, 36)", async () => {
    const only = { match: { repositories: [`${registry.address}/acme/*`] } };
    await apply(manifest("integration-release", only));
    for (const name of ["acme-evil/filter:1", "acme/deeper/filter:1", "evil/acme/filter:1"]) {
      const image = await push(name);
      await sign(image);
      await denied(image, /no WasmPolicy is for/);
    }
    const original = await push("acme/original:1");
    await sign(original);
    await create(original);
    const copy = original.replace("acme/original", "acme/copy").replace(/@.*/, ":1");
    await spawnChecked(process.execPath, [MAIN, "copy", "-r", original, copy], {});
    await denied(copy, /not signed \(release: the signature is for ".*acme\/original", the image is .*acme\/copy/);

    const place = { registry: registry.address, repository: "acme/attested" };
    const { digest } = parseReference(await push("acme/attested:1"));
    const subject = await client.manifest(place.registry, place.repository, digest ?? "");
    const predicateType = "https://slsa.dev/provenance/v1";
    const stated = { ...statementOf(`${place.registry}/${place.repository}`, digest ?? ""), predicateType };
    await attachBundle(client, place, subject, envelope(stated), new Date(), new AbortController().signal);
    await denied(`${place.registry}/${place.repository}:1`, /it states "https:\/\/slsa.dev\/provenance\/v1"/);

    const [good, evil] = [await push("acme/index:good"), await push("acme/index:evil")];
    await sign(good);
    const described = async (image: string, platform: object) => {
      const { bytes, mediaType, digest } = await client.manifest(
        registry.address,
        "acme/index",
        image.split("@")[1] ?? "",
      );
      return { mediaType, digest, size: bytes.length, platform };
    };
    const manifests = [
      await described(evil, { os: "wasip1", architecture: "wasm" }),
      await described(good, { os: "linux", architecture: "amd64" }),
    ];
    const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests }));
    await client.pushManifest(registry.address, "acme/index", "both", { bytes, mediaType: OCI_INDEX });
    await denied(`${registry.address}/acme/index:both`, NOT_SIGNED);

    const twice = ["release", "again"].map(name => ({ name, key: { pem: pem("release") } }));
    await apply(manifest("integration-release", { ...only, verify: { minimum: 2, authorities: twice } }), "False");
    await denied(original, /integration-release can't be used: .*minimum is 2, and there are 1 different authorities/);
  });

  /** A statement of one's own making, signed by the key that the policy trusts. */
  function envelope(stated: object): Buffer {
    const payload = Buffer.from(JSON.stringify(stated));
    const signed = preAuthEncoding({ payloadType: PAYLOAD_TYPE, payload });
    const sig = signBytes("sha256", signed, privateKeys.get("release") ?? assert.fail()).toString("base64");
    return Buffer.from(
      JSON.stringify({
        mediaType: "application/vnd.dev.sigstore.bundle.v0.3+json",
        verificationMaterial: { publicKey: { hint: "x" } },
        dsseEnvelope: { payloadType: PAYLOAD_TYPE, payload: payload.toString("base64"), signatures: [{ sig }] },
      }),
    );
  }

  it("are the same a second time, and on a dry run (38)", async () => {
    await apply(manifest("integration-release", {}));
    const image = await push("team/again:1");
    await sign(image);
    const first = await create(image);
    const again = structuredClone(first);
    again.metadata = { ...first.metadata, uid: undefined, creationTimestamp: undefined, managedFields: undefined };
    const text = await kubectl.run(["create", "--dry-run=server", "-f", "-", "-o", "json"], JSON.stringify(again));
    const second = JSON.parse(text) as Manifest;
    assert.deepEqual(second.spec, first.spec);
    assert.deepEqual(second.metadata.annotations, first.metadata.annotations);
  });

  it("deny where the registry can't be asked, and leave it to the fetcher where they say so", async () => {
    await apply(manifest("integration-release", {}));
    const image = await push("team/away:1");
    await registry.stop();
    running = null;
    await denied(
      image,
      /its signatures can't be read: no usable answer about .* came in time; the webhook's log says why/,
    );
    assert.match(webhook.log(), /can't read signatures/);
    const metrics = await fetch(`${webhook.plainUrl}/metrics`).then(response => response.text());
    for (const outcome of ["Passed", "Failed", "Unknown"]) {
      assert.match(
        metrics,
        new RegExp(`^wasmount_policy_judgements_total\\{mode="Enforce",outcome="${outcome}"\\} [1-9]`, "m"),
      );
    }
    await apply(manifest("integration-release", { onRegistryError: "Defer" }));
    const made = await create(image);
    assert.equal(planOf(made).filters[0]?.trust?.deferred, true);
    assert.equal(JSON.parse(made.metadata.annotations[`${PREFIX}status`]).filters[0].verifiedBy, "fetcher");
  });

  /** Tries until it works: verdicts that are bad count for five seconds, and watches deliver when they do. */
  async function eventually(attempt: () => Promise<unknown>): Promise<void> {
    await until("another verdict", () => attempt().then(() => true), { seconds: FOUND_SECONDS });
  }
});
