import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtemp, readFile, rename, rm, writeFile } from "node:fs/promises";
import { get, type IncomingMessage } from "node:http";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { type Cluster, clusterUnavailable, openCluster } from "../environment/cluster/cluster.ts";
import { stateFolder } from "../environment/cluster/settings.ts";
import { runCommand } from "../environment/command.ts";
import { flipLastByte } from "../environment/corruption.ts";
import { applyGuards } from "../environment/guards.ts";
import { ISTIO_NAMESPACE } from "../environment/istio/istiod.ts";
import { installSlots, type MeshStage, type PodChanges, service, setMeshStage } from "../environment/istio/mesh.ts";
import { unavailable } from "../environment/requirement.ts";
import type { Manifest } from "../environment/stage.ts";
import { until } from "../environment/until.ts";
import { visitorOf } from "../environment/visitor.ts";

const NAMESPACE = "e2e-istio";
/** Where nobody injects anything. */
const BARE_NAMESPACE = "e2e-istio-bare";

describe("a pod of a real Istio mesh", function () {
  this.timeout(20 * 60_000);
  let folder: string;
  let cluster: Cluster;
  let mesh: MeshStage;
  let removeGuards: () => Promise<void>;
  const kubectl = () => mesh.stage.kubectl;

  before(async function () {
    const reason = await clusterUnavailable({ node: true });
    if (reason !== null) unavailable(this, reason);
    folder = await mkdtemp(join(tmpdir(), "wasmount-istio-"));
    const progress = (line: string) => console.log(`      ${line}`);
    cluster = await openCluster({ node: true, progress });
    mesh = await setMeshStage(cluster, folder, progress);
    await kubectl().run(["delete", "namespace", NAMESPACE, "--ignore-not-found", "--wait=true"]);
    await kubectl().apply({
      apiVersion: "v1",
      kind: "Namespace",
      metadata: {
        name: NAMESPACE,
        labels: { "istio-injection": "enabled", "wasmount.dev/inject": "true", "e2e-istio": "guarded" },
      },
    });
    await until("the default ServiceAccount", () => kubectl().get("serviceaccount", "default", "-n", NAMESPACE));
    const place = {
      label: "e2e-istio",
      value: "guarded",
      namespace: NAMESPACE,
      images: ["docker.io/local/wasmount:1"],
    };
    removeGuards = (await applyGuards(kubectl(), place)).remove;
  });

  after(async () => {
    if (mesh === undefined) return;
    await removeGuards?.();
    await kubectl().run(["delete", "namespace", NAMESPACE, "--ignore-not-found", "--wait=false"]);
    await mesh.strike();
    await rm(folder, { recursive: true, force: true });
  });

  const podState = (name: string): Promise<Manifest> => kubectl().get("pod", name, "-n", NAMESPACE);

  async function running(name: string, changes: PodChanges = {}): Promise<Manifest> {
    await kubectl().apply(service(name, NAMESPACE, "http"));
    await kubectl().apply(mesh.pod(name, NAMESPACE, changes));
    return ready(name);
  }

  function ready(name: string): Promise<Manifest> {
    return until(`pod ${name} to be ready`, async () => {
      const pod = await podState(name);
      const isReady = ({ type, status }: Manifest) => type === "Ready" && status === "True";
      return pod.status.conditions?.some(isReady) ? pod : null;
    });
  }

  /** The first answer of the application itself: it may be listening later than its proxy. */
  function answered({ status }: Manifest): Promise<Response> {
    return until("the application to answer", async () => {
      const response = await fetch(`http://${status.podIP}:8080/`);
      return response.status === 200 ? response : null;
    });
  }

  /** What a pod answers to what may not be HTTP; "" where the connection is closed without a word. */
  async function said(address: string, text: string): Promise<string> {
    const socket = connect({ host: address, port: 8080 });
    let answer = "";
    socket.setEncoding("latin1").on("data", chunk => {
      answer += chunk;
      if (answer.includes("hello")) socket.destroy();
    });
    // A connection that is reset ends as well.
    socket.on("error", () => {});
    const closed = new Promise(resolve => socket.once("close", resolve));
    // Left open: Envoy gives an HTTP request up whose connection ends behind it, and nothing would be told by its silence.
    socket.write(text);
    const patience = setTimeout(() => socket.destroy(), 5_000);
    await closed;
    clearTimeout(patience);
    return answer;
  }

  /** What its application got, a line for each connection. */
  const got = async (name: string) =>
    (await kubectl().run(["logs", name, "-c", "app", "-n", NAMESPACE])).split("\n").filter(line => line !== "");

  const admin = (name: string, path: string, method = "GET") =>
    kubectl().run(["exec", name, "-c", "istio-proxy", "-n", NAMESPACE, "--", "pilot-agent", "request", method, path]);

  /** What a gateway answers under a name, which fetch would not let a caller choose. */
  async function asked(address: string, host: string): Promise<{ status: number; header: string; body: string }> {
    const request = get({ host: address, port: 8080, headers: { host } });
    const [response] = (await once(request, "response")) as [IncomingMessage];
    const { statusCode = 0, headers } = response;
    return { status: statusCode, header: String(headers["x-filtered-by"]), body: await text(response) };
  }

  /** The HTTP filters of a listener in their order, as Envoy runs them. */
  async function chain(name: string, listener: string): Promise<readonly string[]> {
    // pilot-agent may log before it answers.
    const text = await admin(name, "config_dump?resource=dynamic_listeners");
    const dump = JSON.parse(text.slice(text.search(/^\{/m))) as Manifest;
    const found = dump.configs.find((config: Manifest) => config.name === listener) ?? assert.fail(listener);
    const filters: string[][] = [];
    walk(found, node => {
      if (Array.isArray(node.http_filters)) filters.push(node.http_filters.map(({ name: filter }: Manifest) => filter));
    });
    return filters[0] ?? assert.fail(`${listener} has no HTTP filters`);
  }

  it("has its native sidecar, the fetcher before all, and answers with the filter's header, in plain text", async () => {
    const pod = await running("shop");
    assert.deepEqual(
      pod.spec.initContainers.map(({ name }: Manifest) => name),
      ["wasmount-fetch", "istio-init", "istio-proxy"],
    );
    assert.equal(pod.spec.initContainers[0].securityContext.runAsUser, 1337);
    assert.equal(pod.metadata.labels["wasmount.dev/slot-in-last-01"], "true");
    assert.equal(pod.metadata.labels["wasmount.dev/http-only"], "true");
    const response = await answered(pod);
    assert.equal(await response.text(), "hello nobody\n");
    assert.equal(response.headers.get("x-filtered-by"), "wasmount");
  });

  it("answers with it through mutual TLS, too", async () => {
    await running("client", { labels: { "wasmount.dev/inject": "false" }, annotations: {} });
    const shop = await kubectl().get<Manifest>("service", "shop", "-n", NAMESPACE);
    const script = `fetch("http://${shop.spec.clusterIP}:8080/").then(async r => console.log(r.headers.get("x-filtered-by"), await r.text()))`;
    const answer = await until("an answer by mutual TLS", async () => {
      const out = await kubectl().run(["exec", "client", "-c", "app", "-n", NAMESPACE, "--", "node", "-e", script]);
      return out.includes("spiffe://") ? out : null;
    });
    assert.match(answer, /^wasmount hello .*spiffe:\/\/cluster\.local\/ns\/e2e-istio/);
  });

  it("says in its statistics what serves", async () => {
    const { metadata } = await podState("shop");
    const stat = await admin("shop", "stats?filter=extension_config_discovery.*version_text");
    assert.match(stat, /wasmount\.in-last-01\.version_text: ".+"/);
    assert.ok(metadata.annotations["sidecar.istio.io/statsInclusionPrefixes"].includes("extension_config_discovery"));
  });

  it("runs filters in the order that was declared, around those of the mesh, and a third keeps it", async () => {
    const { module } = mesh.stage;
    const filter = (name: string, header: string, more: Readonly<Record<string, string>> = {}) => ({
      [`wasmount.dev/module.${name}`]: module.reference,
      [`wasmount.dev/config.${name}`]: `x-order = ${header}`,
      ...Object.fromEntries(Object.entries(more).map(([key, value]) => [`wasmount.dev/${key}.${name}`, value])),
    });
    const ours = (filters: readonly string[]) => filters.filter(name => name.startsWith("wasmount."));
    await running("two", {
      annotations: {
        ...filter("b", "b", { order: "1" }),
        ...filter("a", "a", { order: "2" }),
        "wasmount.dev/order.headers": "3",
      },
    });
    assert.deepEqual(ours(await chain("two", "virtualInbound")), [
      "wasmount.in-last-01",
      "wasmount.in-last-02",
      "wasmount.in-last-03",
    ]);
    const pod = await running("mixed", {
      annotations: {
        ...filter("early", "early", { phase: "first" }),
        ...filter("second", "second", { phase: "first" }),
      },
    });
    const filters = await chain("mixed", "virtualInbound");
    assert.deepEqual(filters.slice(0, 2), ["wasmount.in-first-01", "wasmount.in-first-02"]);
    assert.deepEqual(filters.slice(-2), ["wasmount.in-last-01", "envoy.filters.http.router"]);
    // Responses pass the chain backwards: what stands first has the last word.
    const response = await fetch(`http://${pod.status.podIP}:8080/`);
    assert.equal(response.headers.get("x-order"), "early");
  });

  it("filters what it sends, where the filter is outbound", async () => {
    const pod = await running("sender", { annotations: { "wasmount.dev/direction.headers": "outbound" } });
    assert.equal(pod.metadata.labels["wasmount.dev/http-only"], undefined);
    const shop = await kubectl().get<Manifest>("service", "client", "-n", NAMESPACE);
    const script = `fetch("http://${shop.spec.clusterIP}:8080/").then(r => console.log(r.status, r.headers.get("x-filtered-by")))`;
    const answer = await kubectl().run(["exec", "sender", "-c", "app", "-n", NAMESPACE, "--", "node", "-e", script]);
    assert.equal(answer.trim(), "200 wasmount");
    const plain = await fetch(`http://${pod.status.podIP}:8080/`);
    assert.equal(plain.headers.get("x-filtered-by"), null);
  });

  describe("with an inbound filter", () => {
    const strange: Readonly<Record<string, string>> = {
      "a version in lower case": "GET /lower http/1.1\r\nhost: shop\r\n\r\n",
      "an empty line before": "\r\nGET /crlf HTTP/1.1\r\nhost: shop\r\n\r\n",
      "bytes that are not HTTP": "\x16\x03 no http\r\n\r\n",
      "a method that is none": "get-it /method\r\nhost: shop\r\n\r\n",
    };
    for (const [what, text] of Object.entries(strange)) {
      it(`gets nothing of ${what}`, async () => {
        const { status } = await podState("shop");
        const before = await got("shop");
        const answer = await said(status.podIP, text);
        // What Envoy takes for HTTP after all goes by the filters, and in Envoy's own words.
        if (answer.includes("hello")) assert.match(answer, /^x-filtered-by: wasmount\r$/m);
        else assert.deepEqual(await got("shop"), before);
        assert.ok(!(await got("shop")).includes(`got ${JSON.stringify(text.split("\r\n")[0])}`), "as it was sent");
      });
    }

    it("gets nothing past it where its port is renamed to tcp", async () => {
      const pod = await running("renamed");
      await kubectl().run([
        "patch",
        "service",
        "renamed",
        "-n",
        NAMESPACE,
        "--type=json",
        "-p",
        '[{"op":"replace","path":"/spec/ports/0/name","value":"tcp-web"}]',
      ]);
      await until("Istio to take it for TCP", async () => {
        const answer = await said(pod.status.podIP, "GET /tcp HTTP/1.1\r\nhost: shop\r\n\r\n");
        return answer === "" || null;
      });
      const lines = await got("renamed");
      assert.ok(!lines.some(line => line.includes("/tcp-after")));
      assert.equal(await said(pod.status.podIP, "GET /tcp-after HTTP/1.1\r\nhost: shop\r\n\r\n"), "");
      assert.ok(!(await got("renamed")).some(line => line.includes("/tcp-after")));
    });
  });

  it("gains nothing by a slot's label that its author wrote", async () => {
    const pod = await running("forged", { labels: { "wasmount.dev/slot-in-last-03": "true" } });
    assert.equal(pod.metadata.labels["wasmount.dev/slot-in-last-03"], undefined);
    assert.equal((await fetch(`http://${pod.status.podIP}:8080/`)).headers.get("x-filtered-by"), "wasmount");
  });

  it("keeps its labels, whoever patches its status", async () => {
    for (const label of ["slot-in-last-01", "http-only", "injected"]) {
      const patch = JSON.stringify({ metadata: { labels: { [`wasmount.dev/${label}`]: null } } });
      await assert.rejects(
        kubectl().run(["patch", "pod", "shop", "-n", NAMESPACE, "--subresource=status", "-p", patch]),
        { message: /wasmount-injected-pods/ },
      );
    }
    const added = JSON.stringify({ metadata: { labels: { "wasmount.dev/slot-in-last-03": "true" } } });
    await assert.rejects(kubectl().run(["patch", "pod", "client", "-n", NAMESPACE, "-p", added]), { message: /slot-/ });
  });

  it("is denied while its slot is missing, or changed, and again admitted after", async () => {
    const dryRun = (name: string) =>
      kubectl().run(["create", "--dry-run=server", "-f", "-"], JSON.stringify(mesh.pod(name, NAMESPACE)));
    const slot = ["envoyfilter", "wasmount-in-last-01", "-n", ISTIO_NAMESPACE];
    await kubectl().run(["delete", ...slot]);
    await until("the webhook to miss it", () =>
      dryRun("missing").then(
        () => null,
        error => /SlotNotInstalled: .*is missing/.test(error.message) || null,
      ),
    );
    await installSlots(kubectl());
    await until("the webhook to see it", () => dryRun("present"));
    await kubectl().run(["patch", ...slot, "--type=merge", "-p", '{"spec":{"priority":7}}']);
    await until("the webhook to see the change", () =>
      dryRun("altered").then(
        () => null,
        error => /SlotNotInstalled: .*not as/.test(error.message) || null,
      ),
    );
    await installSlots(kubectl());
    await until("the webhook to see it mended", () => dryRun("mended"));
    await kubectl().run(["label", ...slot, "istio.io/rev=other"]);
    await until("the webhook to see whose it is", () =>
      dryRun("revision").then(
        () => null,
        error => /SlotNotInstalled: .*not as/.test(error.message) || null,
      ),
    );
    await kubectl().run(["label", ...slot, "istio.io/rev-"]);
    await until("the webhook to see it mended", () => dryRun("again"));
  });

  it("is denied where it wants more filters than there are slots", async () => {
    const { module } = mesh.stage;
    const annotations = Object.fromEntries(
      ["a", "b", "c"].map(name => [`wasmount.dev/module.${name}`, module.reference]),
    );
    await assert.rejects(kubectl().apply(mesh.pod("many", NAMESPACE, { annotations })), {
      message: /SlotsExhausted: .*3 are installed.*must be 4/,
    });
  });

  it("answers 503 or 403 where its filter fails at run time, never unfiltered", async () => {
    const pod = await running("failing", { annotations: { "wasmount.dev/config.headers": "not a header" } });
    const response = await fetch(`http://${pod.status.podIP}:8080/`);
    assert.ok([403, 503].includes(response.status), String(response.status));
    assert.deepEqual(await got("failing"), []);
  });

  /** What `wasmount status --live` makes of a pod: its exit code, the pod's one filter, and the table. */
  async function liveStatus(
    name: string,
    kubeconfig = cluster.kubeconfigPath,
  ): Promise<{ readonly code: number | null; readonly live: Manifest; readonly table: string }> {
    const flags = ["-n", NAMESPACE, "-l", `app=${name}`, "--live", "--kubeconfig", kubeconfig];
    const [json, table] = [
      await runCommand(["status", ...flags, "--json"], { cwd: folder }),
      await runCommand(["status", ...flags], { cwd: folder }),
    ];
    assert.equal(json.code, table.code);
    const { pods = [] } = JSON.parse(json.stdout) as Manifest;
    return { code: json.code, live: pods[0]?.filters[0].live ?? null, table: table.stdout };
  }

  it("serves a filter file that is changed in place, without a restart, and its status tells", async () => {
    const pod = await running("live");
    const serving = await liveStatus("live");
    assert.deepEqual([serving.code, serving.live.state], [0, "serving"], JSON.stringify(serving));
    assert.match(serving.table, /^live +Mounted +serving +headers@/m);
    const volume = stateFolder("kubelet", "pods", pod.metadata.uid, "volumes/kubernetes.io~empty-dir/wasmount");
    const path = join(volume, "filters/in-last-01.yaml");
    const text = (await readFile(path, "utf8")).replaceAll("x-filtered-by = wasmount", "x-filtered-by = changed");
    const version = /"version_info": "([^"]+)"/.exec(text)?.[1] ?? assert.fail(text);
    assert.deepEqual([serving.live.version, serving.live.wanted], [version, version]);
    await writeFile(`${path}.new`, text.replaceAll(version, "changed-by-hand"));
    await rename(`${path}.new`, path);
    await until("Envoy to serve it", async () => {
      const response = await fetch(`http://${pod.status.podIP}:8080/`);
      return response.headers.get("x-filtered-by") === "changed" || null;
    });
    assert.match(await admin("live", "stats?filter=in-last-01.version_text"), /changed-by-hand/);
    const changed = await liveStatus("live");
    const { state, version: served, wanted } = changed.live;
    assert.deepEqual([changed.code, state, served, wanted], [1, "differs", "changed-by-hand", version]);
    assert.match(changed.table, /^live +Mounted +differs +headers@/m);
    assert.equal((await podState("live")).status.initContainerStatuses.at(-1).restartCount, 0);
  });

  it("is unknown to the status of somebody who may not ask it, which names the right", async () => {
    const { account, kubeconfig } = await visitorOf(cluster, kubectl(), NAMESPACE, folder);
    const metadata = { name: "visitor", namespace: NAMESPACE };
    const api = "rbac.authorization.k8s.io";
    await kubectl().apply(
      {
        apiVersion: `${api}/v1`,
        kind: "Role",
        metadata,
        rules: [{ apiGroups: [""], resources: ["namespaces", "pods"], verbs: ["get", "list"] }],
      },
      {
        apiVersion: `${api}/v1`,
        kind: "RoleBinding",
        metadata,
        subjects: [account],
        roleRef: { apiGroup: api, kind: "Role", name: metadata.name },
      },
    );
    const { code, live } = await until("the rights to be there", async () => {
      const found = await liveStatus("live", kubeconfig);
      return found.code === 2 ? null : found;
    });
    const why = `the right to create pods/portforward in namespace ${NAMESPACE} is missing`;
    assert.deepEqual([code, live.state, live.why], [0, "unknown", why]);
  });

  it("is denying to its status where its filter file was never good", async () => {
    // The module that lies there once is gone when Envoy starts anew: it loads nothing.
    const pod = await running("denying");
    const volume = stateFolder("kubelet", "pods", pod.metadata.uid, "volumes/kubernetes.io~empty-dir/wasmount");
    const path = join(volume, "filters/in-last-01.yaml");
    const text = (await readFile(path, "utf8")).replace(/"version_info": "[^"]+"/, '"version_info": "other"');
    await writeFile(`${path}.new`, text.replace(/[0-9a-f]{64}\.wasm/, "gone.wasm"));
    await rename(`${path}.new`, path);
    await admin("denying", "quitquitquit", "POST").catch(() => {});
    await until("the proxy to be there again", async () => {
      const { initContainerStatuses } = (await podState("denying")).status;
      const proxy = initContainerStatuses.find(({ name }: Manifest) => name === "istio-proxy");
      return proxy.restartCount > 0 && proxy.ready ? proxy : null;
    });
    const { code, live } = await until("Envoy to have its listeners", async () => {
      const found = await liveStatus("denying");
      return found.live.state === "unknown" ? null : found;
    });
    assert.deepEqual([code, live.state, live.version], [1, "denying", ""]);
    assert.equal((await fetch(`http://${pod.status.podIP}:8080/`)).status, 403);
  });

  it("is filtered at an ingress gateway", async () => {
    await running("plain-shop", { labels: { "wasmount.dev/inject": "false" }, annotations: {} });
    const { metadata, spec } = mesh.pod("gateway", NAMESPACE, {
      labels: { "wasmount.dev/inject": "true", "sidecar.istio.io/inject": "true", istio: "e2e-gateway" },
      annotations: {
        "inject.istio.io/templates": "gateway",
        "wasmount.dev/direction.headers": "gateway",
        "wasmount.dev/config.headers": "x-filtered-by = gateway",
      },
    });
    // Else the API server has it pulled anew each time, as the image names no tag before Istio completes it.
    const containers = [{ name: "istio-proxy", image: "auto", imagePullPolicy: "IfNotPresent" }];
    const { hostAliases, terminationGracePeriodSeconds } = spec;
    await kubectl().apply(
      service("gateway", NAMESPACE, "http"),
      {
        apiVersion: "networking.istio.io/v1",
        kind: "Gateway",
        metadata: { name: "front", namespace: NAMESPACE },
        spec: {
          selector: { istio: "e2e-gateway" },
          servers: [{ port: { number: 8080, name: "http", protocol: "HTTP" }, hosts: ["shop.example"] }],
        },
      },
      {
        apiVersion: "networking.istio.io/v1",
        kind: "VirtualService",
        metadata: { name: "front", namespace: NAMESPACE },
        spec: {
          hosts: ["shop.example"],
          gateways: ["front"],
          http: [
            { route: [{ destination: { host: `plain-shop.${NAMESPACE}.svc.cluster.local`, port: { number: 8080 } } }] },
          ],
        },
      },
      {
        apiVersion: "v1",
        kind: "Pod",
        metadata,
        spec: { hostAliases, terminationGracePeriodSeconds, containers },
      },
    );
    const pod = await ready("gateway");
    assert.deepEqual(
      pod.spec.initContainers.map(({ name }: Manifest) => name),
      ["wasmount-fetch"],
    );
    assert.equal(pod.metadata.labels["wasmount.dev/slot-gw-last-01"], "true");
    const answer = await until("the gateway to route", async () => {
      const response = await asked(pod.status.podIP, "shop.example");
      return response.status === 200 ? response : null;
    });
    assert.equal(answer.header, "gateway");
    assert.match(answer.body, /^hello .*spiffe:\/\/cluster\.local\/ns\/e2e-istio/);
    const { code, live } = await liveStatus("gateway");
    assert.deepEqual([code, live.state], [0, "serving"]);
  });

  it("is refused as a waypoint, with the reason", async () => {
    const pod = mesh.pod("waypoint", NAMESPACE, {
      labels: { "wasmount.dev/inject": "true", "sidecar.istio.io/inject": "false" },
    });
    pod.spec.containers = [
      { name: "istio-proxy", image: "docker.io/local/proxyv2:1", args: ["proxy", "waypoint", "--domain", "x"] },
    ];
    await assert.rejects(kubectl().run(["create", "--dry-run=server", "-f", "-"], JSON.stringify(pod)), {
      message: /ProxyUnsupported: .*A waypoint takes only EnvoyFilters that name it by targetRefs/,
    });
  });

  describe("that is redirected before its fetcher runs", () => {
    /** A pod of Istio's own istio-init and then the fetcher of an injected pod, as another user: how the fetcher ended. */
    async function fetchedAs(user: number): Promise<Manifest> {
      const name = `redirected-${user}`;
      const { spec } = await podState("shop");
      const container = (wanted: string) => spec.initContainers.find((one: Manifest) => one.name === wanted);
      const fetcher = structuredClone(container("wasmount-fetch"));
      Object.assign(fetcher.securityContext, { runAsUser: user, runAsGroup: user });
      const mounted = fetcher.volumeMounts.map((mount: Manifest) => mount.name);
      const redirection = { ...container("istio-init"), volumeMounts: [] };
      await kubectl().apply({
        apiVersion: "v1",
        kind: "Pod",
        metadata: { name, namespace: BARE_NAMESPACE },
        spec: {
          restartPolicy: "Never",
          terminationGracePeriodSeconds: 1,
          automountServiceAccountToken: false,
          initContainers: [redirection, fetcher],
          containers: [{ name: "app", image: spec.containers[0].image, imagePullPolicy: "Never", args: ["-e", ""] }],
          volumes: spec.volumes.filter((volume: Manifest) => mounted.includes(volume.name)),
        },
      });
      return until(`the fetcher of ${name} to end`, async () => {
        const { status } = await kubectl().get<Manifest>("pod", name, "-n", BARE_NAMESPACE);
        const [before, ours] = status.initContainerStatuses ?? [];
        if (before?.state.terminated) assert.equal(before.state.terminated.exitCode, 0);
        return ours?.state.terminated;
      });
    }

    before(async () => {
      const bare = { apiVersion: "v1", kind: "Namespace", metadata: { name: BARE_NAMESPACE } };
      await kubectl().run(["delete", "namespace", BARE_NAMESPACE, "--ignore-not-found", "--wait=true"]);
      await kubectl().apply(bare);
      await until("its ServiceAccount", () => kubectl().get("serviceaccount", "default", "-n", BARE_NAMESPACE));
    });

    after(() => kubectl().run(["delete", "namespace", BARE_NAMESPACE, "--ignore-not-found", "--wait=false"]));

    it("fetches as the proxy's user, which redirection leaves alone", async () => {
      const { exitCode, message } = await fetchedAs(1337);
      assert.equal(exitCode, 0, message);
    });

    it("could not as another one, since no proxy runs yet that takes the connection", async () => {
      const { exitCode, message } = await fetchedAs(1338);
      assert.equal(exitCode, 3, message);
      assert.match(message, /ECONNREFUSED/);
    });
  });

  // Last, as the registry keeps what was changed.
  describe("whose module was changed in the registry", () => {
    it("never starts, and says why", async () => {
      await mesh.stage.registry.corrupt(mesh.stage.module.layer, flipLastByte);
      await kubectl().apply(mesh.pod("corrupted", NAMESPACE));
      const pod = await until("the fetcher to fail", async () => {
        const found = await podState("corrupted");
        const state = found.status.initContainerStatuses?.[0];
        return (state?.state.terminated ?? state?.lastState.terminated) ? found : null;
      });
      const [fetcher, ...others] = pod.status.initContainerStatuses;
      assert.match((fetcher.state.terminated ?? fetcher.lastState.terminated).message, /DigestMismatch/);
      for (const { containerID } of [...others, ...pod.status.containerStatuses]) assert.equal(containerID, undefined);
    });
  });
});

function walk(node: Manifest, visit: (node: Manifest) => void): void {
  if (typeof node !== "object" || node === null) return;
  if (!Array.isArray(node)) visit(node);
  for (const value of Object.values(node)) walk(value as Manifest, visit);
}
