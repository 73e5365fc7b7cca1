import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { RegistryClient } from "../../src/oci/client.ts";
import { moduleImage } from "../../src/oci/module-image.ts";
import { pushModule } from "../../src/oci/push-module.ts";
import { parseReference } from "../../src/oci/reference.ts";
import { type Cluster, clusterUnavailable, openCluster } from "../environment/cluster/cluster.ts";
import { type DistributionRegistry, startDistributionRegistry } from "../environment/distribution-registry.ts";
import { buildExampleFilter } from "../environment/example.ts";
import { Kubectl } from "../environment/kubectl.ts";
import { unavailable } from "../environment/requirement.ts";
import type { Manifest } from "../environment/stage.ts";
import { until } from "../environment/until.ts";
import { applicationImage } from "../environment/wasmount-image.ts";

const NAMESPACE = "e2e-image-volume";

/** What the pod's program prints: what lies in the volume, the module's hash, and what a write comes to. */
const LOOK = `
import { createHash } from "node:crypto";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
const names = readdirSync("/module");
const sha256 = createHash("sha256").update(readFileSync("/module/plugin.wasm")).digest("hex");
let written = "written";
try { writeFileSync("/module/plugin.wasm", ""); } catch (error) { written = error.code; }
console.log(JSON.stringify({ names, sha256, written }));`;

describe("an image that we pushed as compat, as the image volume of a pod", function () {
  this.timeout(20 * 60_000);
  let folder: string;
  let cluster: Cluster;
  let kubectl: Kubectl;
  let registry: DistributionRegistry;
  let image: string;
  let module: Buffer;

  before(async function () {
    const reason = await clusterUnavailable({ node: true });
    if (reason !== null) unavailable(this, reason);
    const progress = (line: string) => console.log(`      ${line}`);
    folder = await mkdtemp(join(tmpdir(), "wasmount-image-volume-"));
    cluster = await openCluster({ node: true, progress });
    kubectl = new Kubectl(cluster);
    image = await cluster.importImage((await applicationImage()).archivePath);
    module = await buildExampleFilter(join(folder, "response-headers.wasm"));
    // The node's containerd runs on this machine, and speaks plain HTTP to loopback without being told to.
    registry = await startDistributionRegistry(join(folder, "registry"), "127.0.0.1", progress);
    await kubectl.run(["delete", "namespace", NAMESPACE, "--ignore-not-found", "--wait=true"]);
    await kubectl.apply({ apiVersion: "v1", kind: "Namespace", metadata: { name: NAMESPACE } });
    await until("the default ServiceAccount", () => kubectl.get("serviceaccount", "default", "-n", NAMESPACE));
  });

  after(async () => {
    await kubectl?.run(["delete", "namespace", NAMESPACE, "--ignore-not-found", "--wait=false"]);
    await registry?.stop();
    if (folder) await rm(folder, { recursive: true, force: true });
  });

  it("is mounted by containerd, read-only, with the module's own bytes", async () => {
    const client = new RegistryClient({ registries: [{ host: registry.address, plainHttp: true }] });
    const compat = await moduleImage({ module, name: "response-headers", layout: "compat" });
    const name = `${registry.address}/filters/response-headers`;
    const { digest } = await pushModule(client, parseReference(`${name}:1`), compat).finally(() => client.close());
    await kubectl.apply({
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name: "reader", namespace: NAMESPACE },
      spec: {
        restartPolicy: "Never",
        volumes: [{ name: "module", image: { reference: `${name}@${digest}`, pullPolicy: "Always" } }],
        containers: [
          {
            name: "app",
            image,
            imagePullPolicy: "Never",
            args: ["--input-type=module", "--eval", LOOK],
            volumeMounts: [{ name: "module", mountPath: "/module" }],
          },
        ],
      },
    });
    const phase = await until("the pod to end", async () => {
      const { status } = await kubectl.get<Manifest>("pod", "reader", "-n", NAMESPACE);
      return ["Succeeded", "Failed"].includes(status.phase) ? status.phase : null;
    });
    const log = await kubectl.run(["logs", "reader", "-n", NAMESPACE]);
    assert.equal(phase, "Succeeded", log);
    assert.deepEqual(JSON.parse(log), {
      names: ["plugin.wasm"],
      sha256: createHash("sha256").update(module).digest("hex"),
      written: "EROFS",
    });
  });
});
