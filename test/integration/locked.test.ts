import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parse } from "yaml";
import { filterKeys, PREFIX, podKeys } from "../../src/admission/key.ts";
import { reasons } from "../../src/decision/reason.ts";
import { clusterUnavailable, openCluster } from "../environment/cluster/cluster.ts";
import { exampleManifest } from "../environment/example.ts";
import { MODULE } from "../environment/guarded-cluster.ts";
import { shippedGuards } from "../environment/guards.ts";
import { Kubectl } from "../environment/kubectl.ts";
import { makeNamespace } from "../environment/namespace.ts";
import { registerWebhook } from "../environment/registration.ts";
import { unavailable } from "../environment/requirement.ts";
import type { Manifest } from "../environment/stage.ts";
import { startWebhookProcess, type WebhookProcess } from "../environment/webhook-process.ts";

const NAMESPACE = "integration-locked";
const FILTER = { [`${PREFIX}module.headers`]: MODULE };

/** A way around a namespace's filters. */
interface Bypass {
  readonly pod: string;
  /** YAML of a strategic merge patch. */
  readonly has: string;
  readonly reason: string;
}

const page = await readFile(new URL("../../docs/locked.md", import.meta.url), "utf8");

/** The table of docs/locked.md. */
const bypasses: readonly Bypass[] = [...page.matchAll(/^\| (.+?) \| `(.+)` \| `(\w+)` \|$/gm)].map(
  ([, pod = "", has = "", reason = ""]) => ({ pod, has, reason }),
);

describe("a locked namespace, by a real API server,", function () {
  this.timeout(15 * 60_000);
  let folder: string;
  let kubectl: Kubectl;
  let webhook: WebhookProcess;
  let unregister: (() => Promise<void>) | undefined;
  let podFile: string;

  before(async function () {
    const reason = await clusterUnavailable({ node: false });
    if (reason !== null) unavailable(this, reason);
    const cluster = await openCluster({ node: false, progress: line => console.log(`      ${line}`) });
    kubectl = new Kubectl(cluster);
    folder = await mkdtemp(join(tmpdir(), "wasmount-locked-"));
    await makeNamespace(kubectl, NAMESPACE, { labels: { [`${PREFIX}locked`]: "true" }, annotations: FILTER });
    webhook = await startWebhookProcess({
      folder,
      namespaces: ["--kubeconfig", cluster.kubeconfigPath],
      config: { fetcher: { image: "registry.example/wasmount:1" } },
    });
    unregister = await registerWebhook(cluster.kubeConfig, { ...webhook, name: NAMESPACE, namespaces: [NAMESPACE] });
    const pod = parse(await exampleManifest("pod")) as Manifest;
    pod.metadata = { name: "shop", namespace: NAMESPACE };
    podFile = join(folder, "pod.json");
    await writeFile(podFile, JSON.stringify(pod));
  });

  after(async () => {
    await unregister?.();
    await webhook?.stop();
    await kubectl?.run(["delete", "namespace", NAMESPACE, "--ignore-not-found", "--wait=false"]);
    if (folder) await rm(folder, { recursive: true, force: true });
  });

  /** What the API server makes of an ordinary pod with something merged into it. */
  async function create(has: string): Promise<Manifest> {
    const pod = await kubectl.run(["patch", "--local", "-f", podFile, "--type=strategic", "-p", has, "-o", "json"]);
    return JSON.parse(await kubectl.run(["create", "--dry-run=server", "-f", "-", "-o", "json"], pod));
  }

  for (const { pod, has, reason } of bypasses) {
    it(`denies a pod that ${pod}`, async () => {
      assert.ok(Object.hasOwn(reasons, reason), reason);
      await assert.rejects(create(has), { message: new RegExp(`wasmount: ${reason}: `) });
    });
  }

  it("gives its filters to all others, whatever they say of their status", async () => {
    for (const has of ["{}", `metadata: {annotations: {${PREFIX}status: forged}}`]) {
      const { metadata, spec } = await create(has);
      assert.equal(spec.initContainers[0].name, "wasmount-fetch");
      assert.match(metadata.annotations[`${PREFIX}status`], /"name":"headers"/);
    }
  });

  it("has a line on its page for each annotation that a pod could have", () => {
    for (const key of [...filterKeys.map(key => `${key}.headers`), ...podKeys]) {
      assert.ok(
        bypasses.some(({ has, reason }) => has.includes(`{${PREFIX}${key}: `) && reason === "Locked"),
        key,
      );
    }
  });

  it("has a page that names what denies pods for what others did, and all policies there are", async () => {
    const sectionOf = (title: string) => new RegExp(`## ${title}\\n(.*?)\\n## `, "s").exec(page)?.[1] ?? "";
    const named = [...sectionOf("By other webhooks").matchAll(/`([A-Z][A-Za-z]+)`/g)].map(([, reason]) => reason);
    const tabled = bypasses.map(({ reason }) => reason);
    const aboutFetcher = Object.keys(reasons).filter(reason =>
      /^(Fetcher|Plan(Forged|Outdated)|ProxyAltered|ProxyNeverCame|VolumeExposed|ProcessesShared)/.test(reason),
    );
    assert.deepEqual(
      [...new Set([...named, ...tabled.filter(one => aboutFetcher.includes(one))])].sort(),
      aboutFetcher.sort(),
    );
    const policies = (await shippedGuards())
      .filter(({ kind }) => kind === "ValidatingAdmissionPolicy")
      .map(({ metadata }) => metadata.name);
    const guarding = sectionOf("Later").match(/(?<=`)wasmount-[a-z-]+(?=`)/g) ?? [];
    assert.deepEqual(guarding.sort(), policies.sort());
  });
});
