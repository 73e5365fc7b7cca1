import assert from "node:assert/strict";
import { mkdtemp, readFile, rename, rm, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type Cluster, clusterUnavailable, openCluster } from "../environment/cluster/cluster.ts";
import { stateFolder } from "../environment/cluster/settings.ts";
import { flipLastByte } from "../environment/corruption.ts";
import { applyGuards } from "../environment/guards.ts";
import { ISTIO_NAMESPACE } from "../environment/istio/istiod.ts";
import { installSlots, type MeshStage, type PodChanges, service, setMeshStage } from "../environment/istio/mesh.ts";
import { unavailable } from "../environment/requirement.ts";
import type { Manifest } from "../environment/stage.ts";

const NAMESPACE = "e2e-istio";
const READY_MS = 90_000;

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

  async function until<Value>(what: string, look: () => Promise<Value | null | undefined>): Promise<Value> {
    const deadline = performance.now() + READY_MS;
    let last: unknown;
    for (;;) {
      try {
        const found = await look();
        if (found) return found;
      } catch (error) {
        last = error;
      }
      if (performance.now() > deadline) assert.fail(`waited ${READY_MS / 1000} s for ${what}: ${last ?? ""}`);
      await sleep(200);
    }
  }

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
    });
    // A connection that is reset ends as well.
    socket.on("error", () => {});
    const closed = new Promise(resolve => socket.once("close", resolve));
    socket.end(text);
    const patience = setTimeout(() => socket.destroy(), 5_000);
    await closed;
    clearTimeout(patience);
    return answer;
  }

  /** What its application got, a line for each connection. */
  const got = async (name: string) =>
    (await kubectl().run(["logs", name, "-c", "app", "-n", NAMESPACE])).split("\n").filter(line => line !== "");

  const admin = (name: string, path: string) =>
    kubectl().run(["exec", name, "-c", "istio-proxy", "-n", NAMESPACE, "--", "pilot-agent", "request", "GET", path]);

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
        assert.doesNotMatch(await said(status.podIP, text), /hello/);
        assert.deepEqual(await got("shop"), before);
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

  it("serves a filter file that is changed in place, without a restart", async () => {
    const pod = await running("live");
    const volume = stateFolder("kubelet", "pods", pod.metadata.uid, "volumes/kubernetes.io~empty-dir/wasmount");
    const path = join(volume, "filters/in-last-01.yaml");
    const text = (await readFile(path, "utf8")).replaceAll("x-filtered-by = wasmount", "x-filtered-by = changed");
    const version = /"version_info": "([^"]+)"/.exec(text)?.[1] ?? assert.fail(text);
    await writeFile(`${path}.new`, text.replaceAll(version, "changed-by-hand"));
    await rename(`${path}.new`, path);
    await until("Envoy to serve it", async () => {
      const response = await fetch(`http://${pod.status.podIP}:8080/`);
      return response.headers.get("x-filtered-by") === "changed" || null;
    });
    assert.match(await admin("live", "stats?filter=in-last-01.version_text"), /changed-by-hand/);
    assert.equal((await podState("live")).status.initContainerStatuses.at(-1).restartCount, 0);
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
