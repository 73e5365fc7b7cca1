import assert from "node:assert/strict";
import { CoreV1Api, type V1Pod, type V1PodSpec } from "@kubernetes/client-node";
import { type Cluster, clusterUnavailable, openCluster } from "../environment/cluster/cluster.ts";
import { attempt } from "../environment/cluster/command.ts";
import { nodeImage } from "../environment/images/images.ts";
import { unavailable } from "../environment/requirement.ts";
import { type Look, until } from "../environment/until.ts";

const server = `
import { createServer } from "node:http";
process.on("SIGTERM", () => process.exit(0));
createServer((request, response) => {
  console.log("asked for " + request.url);
  response.end("user " + process.getuid());
}).listen(8080);
`;

const failing = `
import { writeFileSync } from "node:fs";
writeFileSync("/dev/termination-log", "the filter's digest does not match");
process.exit(3);
`;

/** What Pod Security's level "restricted" asks of every container. */
const securityContext = {
  allowPrivilegeEscalation: false,
  capabilities: { drop: ["ALL"] },
  runAsNonRoot: true,
  readOnlyRootFilesystem: true,
  seccompProfile: { type: "RuntimeDefault" },
};

describe("the local cluster's node", function () {
  this.timeout(120_000);
  const namespace = `node-${process.pid}`;
  let cluster: Cluster;
  let core: CoreV1Api;
  let image: string;

  before(async function () {
    // A cold build of all parts on two cores, and then some.
    this.timeout(20 * 60_000);
    const reason = await clusterUnavailable({ node: true });
    if (reason) unavailable(this, reason);
    cluster = await openCluster({ node: true, progress: line => console.log(`      ${line}`) });
    core = cluster.kubeConfig.makeApiClient(CoreV1Api);
    const source = (text: string) => ({ bytes: Buffer.from(text) });
    const { archivePath } = await nodeImage({
      reference: "docker.io/local/node-test:1",
      files: [
        { kind: "file", path: "/app/server.mjs", mode: 0o644, source: source(server) },
        { kind: "file", path: "/app/failing.mjs", mode: 0o644, source: source(failing) },
      ],
      entrypoint: ["node"],
      user: 65532,
    });
    image = await cluster.importImage(archivePath);
    const labels = { "pod-security.kubernetes.io/enforce": "restricted" };
    await core.createNamespace({ body: { metadata: { name: namespace, labels } } });
    await eventually("the default ServiceAccount", async () => {
      const { items } = await core.listNamespacedServiceAccount({ namespace });
      return items.find(({ metadata }) => metadata?.name === "default");
    });
  });

  after(async () => {
    await core?.deleteNamespace({ name: namespace });
  });

  it("runs a pod of the restricted level, which answers at its address, and whose log can be read", async () => {
    await create("server", { containers: [{ name: "app", image, args: ["/app/server.mjs"], securityContext }] });
    const pod = await podWhen("server", ({ status }) => status?.containerStatuses?.[0]?.ready === true);
    const answer = await eventually("the server to answer", () => ask(`http://${pod.status?.podIP}:8080/hello`));
    assert.equal(answer, "user 65532");
    const log = await core.readNamespacedPodLog({ namespace, name: "server" });
    assert.match(log, /asked for \/hello/);
  });

  it("runs a command in a container", async () => {
    const kubectl = cluster.binaries["kubectl"] ?? "";
    const target = ["--kubeconfig", cluster.kubeconfigPath, "--namespace", namespace, "exec", "server", "--"];
    const result = await attempt(kubectl, [...target, "/usr/local/bin/node", "-p", "process.getuid()"]);
    assert.deepEqual([result.status, result.stdout], [0, "65532\n"]);
  });

  it("lets a pod reach the API server at its Service address, with its ServiceAccount's CA and token", async () => {
    const program = `
      import { readFileSync } from "node:fs";
      import { get } from "node:https";
      const at = "/var/run/secrets/kubernetes.io/serviceaccount/";
      const headers = { authorization: "Bearer " + readFileSync(at + "token") };
      const url = "https://" + process.env.KUBERNETES_SERVICE_HOST + "/version";
      get(url, { ca: readFileSync(at + "ca.crt"), headers }, answer => console.log(answer.resume().statusCode));`;
    const args = ["--input-type=module", "--eval", program];
    await create("client", { restartPolicy: "Never", containers: [{ name: "app", image, args, securityContext }] });
    await podWhen("client", ({ status }) => status?.phase === "Succeeded" || status?.phase === "Failed");
    assert.equal(await core.readNamespacedPodLog({ namespace, name: "client" }), "200\n");
  });

  it("shows in a pod's status why its init container failed", async () => {
    await create("failing", {
      restartPolicy: "Never",
      initContainers: [{ name: "fetch", image, args: ["/app/failing.mjs"], securityContext }],
      containers: [{ name: "app", image, args: ["/app/server.mjs"], securityContext }],
    });
    const pod = await podWhen("failing", ({ status }) => status?.phase === "Failed");
    const ended = pod.status?.initContainerStatuses?.[0]?.state?.terminated;
    assert.deepEqual([ended?.exitCode, ended?.message], [3, "the filter's digest does not match"]);
  });

  it("refuses a pod of the restricted namespace whose container may become root", async () => {
    const rejected = create("root", { containers: [{ name: "app", image }] });
    await assert.rejects(rejected, /violates PodSecurity/);
  });

  async function create(name: string, spec: V1PodSpec): Promise<void> {
    const complete = { terminationGracePeriodSeconds: 1, ...spec };
    await core.createNamespacedPod({ namespace, body: { metadata: { name }, spec: complete } });
  }

  function podWhen(name: string, isSo: (pod: V1Pod) => boolean): Promise<V1Pod> {
    return eventually(`pod ${name} to be as it is wanted`, async () => {
      const pod = await core.readNamespacedPod({ namespace, name });
      return isSo(pod) ? pod : undefined;
    });
  }
});

/** As {@link until}, but where the API server can't answer that is an error at once. */
function eventually<Value>(what: string, look: Look<Value>): Promise<Value> {
  return until(what, look, { pauseMs: 100, bears: () => false });
}

async function ask(url: string): Promise<string | undefined> {
  try {
    return await (await fetch(url)).text();
  } catch {
    return undefined;
  }
}
