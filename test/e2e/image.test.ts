import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { stringify } from "yaml";
import { createAuthority, issueServerCertificate } from "../../src/certs/authority.ts";
import { version } from "../../src/cli/version.ts";
import { buildahUnavailable } from "../environment/buildah.ts";
import { type Cluster, clusterUnavailable, openCluster } from "../environment/cluster/cluster.ts";
import { releaseArchive, type TestRelease, testRelease } from "../environment/images/release.ts";
import { unavailable } from "../environment/requirement.ts";
import { patchedPod, reviewPod } from "../environment/review.ts";
import { type ExampleObjects, type Manifest, type Stage, setStage } from "../environment/stage.ts";
import { until } from "../environment/until.ts";

const NAMESPACE = "e2e-image";
const REFERENCE = "docker.io/local/wasmount-release:1";
/** The user of Istio's sidecars, and one as OpenShift gives them: neither has an account in the image. */
const MESH_USER = 1337;
const RANGE_USER = 1_000_670_000;

const RESTRICTED = {
  allowPrivilegeEscalation: false,
  capabilities: { drop: ["ALL"] },
  readOnlyRootFilesystem: true,
  runAsNonRoot: true,
  seccompProfile: { type: "RuntimeDefault" },
};

describe("the image of the Dockerfile, on a real node", function () {
  this.timeout(30 * 60_000);
  let folder: string;
  let cluster: Cluster;
  let stage: Stage;
  let example: ExampleObjects;
  let release: TestRelease;
  let image: string;

  before(async function () {
    const reason = (await clusterUnavailable({ node: true })) ?? (await buildahUnavailable());
    if (reason !== null) unavailable(this, reason);
    const progress = (line: string) => console.log(`      ${line}`);
    folder = await mkdtemp(join(tmpdir(), "wasmount-e2e-image-"));
    release = await testRelease(version, progress);
    cluster = await openCluster({ node: true, progress });
    stage = await setStage(cluster, folder, progress, { image: () => releaseArchive(release, REFERENCE) });
    image = await cluster.importImage((await releaseArchive(release, REFERENCE)).archivePath);
    example = await stage.example(NAMESPACE);
    await stage.kubectl.run(["delete", "namespace", NAMESPACE, "--ignore-not-found", "--wait=true"]);
    await stage.kubectl.apply(example.namespace, example.configMap);
    await until("the default ServiceAccount", () => stage.kubectl.get("serviceaccount", "default", "-n", NAMESPACE));
  });

  after(async () => {
    await stage?.kubectl.run(["delete", "namespace", NAMESPACE, "--ignore-not-found", "--wait=false"]);
    await stage?.strike();
    if (folder) await rm(folder, { recursive: true, force: true });
  });

  const podState = (name: string): Promise<Manifest> => stage.kubectl.get("pod", name, "-n", NAMESPACE);

  function ready(name: string): Promise<Manifest> {
    return until(`pod ${name} to be ready`, async () => {
      const pod = await podState(name);
      const isReady = (condition: Manifest) => condition.type === "Ready" && condition.status === "True";
      return pod.status.conditions?.some(isReady) ? pod : null;
    });
  }

  describe("is the fetcher", () => {
    it("of an injected pod, as the user of its proxy, with the code that was compiled for the image's own Node", async () => {
      const pod = structuredClone(example.pod);
      pod.metadata.name = "injected";
      const envoy = pod.spec.containers.find((container: Manifest) => container.name === "envoy");
      envoy.securityContext = { ...envoy.securityContext, runAsUser: MESH_USER };
      await stage.kubectl.apply(pod);
      const { spec, status } = await ready("injected");
      const [fetcher] = spec.initContainers;
      assert.deepEqual([fetcher.image, fetcher.securityContext.runAsUser], [image, MESH_USER]);
      assert.equal(fetcher.securityContext.readOnlyRootFilesystem, true);
      const response = await until("Envoy to listen", async () => {
        const answer = await fetch(`http://${status.podIP}:10000/`);
        return answer.status === 200 ? answer : null;
      });
      assert.equal(response.headers.get("x-filtered-by"), "wasmount");
      const log = await stage.kubectl.run(["logs", "injected", "-c", "wasmount-fetch", "-n", NAMESPACE]);
      const summary = JSON.parse(log.trimEnd().split("\n").at(-1) ?? "");
      assert.deepEqual([summary.exitCode, summary.compiled], [0, "used"], log);
    });
  });

  describe("is the webhook", () => {
    for (const user of [null, RANGE_USER]) {
      const name = user === null ? "webhook" : "webhook-other-user";
      it(`as ${user === null ? "its own user" : "any user"}, with a read-only root and nothing of its namespace's`, async () => {
        const authority = await createAuthority("wasmount local CA", 7, new Date());
        const server = await issueServerCertificate(authority, ["wasmount.test"], 7, new Date());
        await stage.kubectl.apply(
          { apiVersion: "v1", kind: "ConfigMap", metadata: meta(name), data: configuration() },
          {
            apiVersion: "v1",
            kind: "Secret",
            metadata: meta(name),
            stringData: { "tls.crt": server.certificate, "tls.key": server.privateKey },
          },
          webhookPod(name, user),
        );
        const { status } = await ready(name);
        // No environment, user database or home folder: the kernel's word for who runs it.
        const at = ["exec", name, "-n", NAMESPACE, "--", "node", "-p"];
        const uid = await stage.kubectl.run([...at, "process.getuid()"]);
        assert.equal(Number(uid), user ?? 65_532);
        const write = "try { fs.writeFileSync('/app/x', '') } catch (error) { error.code }";
        assert.equal(await stage.kubectl.run([...at, write]), "EROFS\n");
        const url = `https://${status.podIP}:10250`;
        const answer = await reviewPod(url, authority.certificate, example.pod, NAMESPACE, "wasmount.test");
        assert.equal(answer.allowed, true, JSON.stringify(answer));
        const { spec } = patchedPod(example.pod, answer);
        assert.deepEqual([spec.initContainers?.[0]?.name, spec.initContainers?.[0]?.image], ["wasmount-fetch", image]);
        await stage.kubectl.run(["delete", "pod", name, "-n", NAMESPACE, "--wait=true"]);
      });
    }
  });

  it("has no shell, no package manager and no program but Node", async () => {
    const list = `
      const found = [];
      const walk = folder => {
        for (const entry of fs.readdirSync(folder || "/", { withFileTypes: true })) {
          const path = folder + "/" + entry.name;
          if (["/proc", "/sys", "/dev"].includes(path)) continue;
          if (entry.isDirectory()) walk(path);
          else if (entry.isFile() && fs.statSync(path).mode & 0o111 && !/\\.so(\\.\\d+)*$/.test(path)) found.push(path);
        }
      };
      walk("");
      JSON.stringify(found)`;
    await stage.kubectl.apply(nodePod("walker", ["-p", list]));
    const phase = await until("the walk to end", async () => {
      const { status } = await podState("walker");
      return ["Succeeded", "Failed"].includes(status.phase) ? status.phase : null;
    });
    const log = await stage.kubectl.run(["logs", "walker", "-n", NAMESPACE]);
    assert.equal(phase, "Succeeded", log);
    assert.deepEqual(JSON.parse(log), ["/usr/local/bin/node"]);
  });

  const meta = (name: string) => ({ name, namespace: NAMESPACE, labels: { "wasmount.dev/inject": "false" } });

  function nodePod(name: string, args: readonly string[]): Manifest {
    const securityContext = RESTRICTED;
    const container = { name: "app", image, imagePullPolicy: "Never", command: ["node"], args, securityContext };
    return {
      apiVersion: "v1",
      kind: "Pod",
      metadata: meta(name),
      spec: { restartPolicy: "Never", containers: [container] },
    };
  }

  function configuration(): Manifest {
    const tls = { certFile: "/etc/wasmount-tls/tls.crt", keyFile: "/etc/wasmount-tls/tls.key" };
    const registries = [{ host: stage.registry.address, plainHttp: true }];
    return {
      "wasmount.yaml": stringify({ tls, fetcher: { image }, registries }),
      "namespaces.yaml": stringify(example.namespace),
    };
  }

  function webhookPod(name: string, user: number | null): Manifest {
    const files = "/etc/wasmount";
    return {
      apiVersion: "v1",
      kind: "Pod",
      metadata: meta(name),
      spec: {
        automountServiceAccountToken: false,
        terminationGracePeriodSeconds: 10,
        securityContext: { ...(user === null ? {} : { runAsUser: user }), fsGroup: 4000 },
        volumes: [
          { name: "config", configMap: { name } },
          { name: "tls", secret: { secretName: name, defaultMode: 0o440 } },
        ],
        containers: [
          {
            name: "webhook",
            image,
            imagePullPolicy: "Never",
            args: ["webhook", "--config", `${files}/wasmount.yaml`, "--namespace-file", `${files}/namespaces.yaml`],
            readinessProbe: { httpGet: { path: "/readyz", port: 8080 }, periodSeconds: 1 },
            securityContext: RESTRICTED,
            volumeMounts: [
              { name: "config", mountPath: files, readOnly: true },
              { name: "tls", mountPath: "/etc/wasmount-tls", readOnly: true },
            ],
          },
        ],
      },
    };
  }
});
