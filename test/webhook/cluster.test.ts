import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { KubeConfig } from "@kubernetes/client-node";
import { parseConfig } from "../../src/config/load.ts";
import { SERVICE_DEFAULTS_PATH, serviceDefaults } from "../../src/dataplanes/consul-service.ts";
import { Deadline } from "../../src/kube/deadline.ts";
import { createLogger } from "../../src/observe/log.ts";
import { createMetrics } from "../../src/observe/metrics.ts";
import { parseReference } from "../../src/oci/reference.ts";
import { type Cluster, openCluster } from "../../src/webhook/cluster.ts";
import { hold, list, untilTrue } from "../kube/scripted-api.ts";
import { stuckRegistries } from "./stuck-registries.ts";

const COLLECTIONS = ["/api/v1/namespaces", "/api/v1/limitranges", "/api/v1/pods", SERVICE_DEFAULTS_PATH] as const;
type Collection = (typeof COLLECTIONS)[number];

const config = parseConfig(
  "{tls: {certFile: a, keyFile: b}, fetcher: {image: c}, policy: {fromCluster: false}, dataPlanes: [consul]}",
  "defaults",
);
const shop = { metadata: { name: "shop", resourceVersion: "7" } };

describe("what a webhook asks of its cluster", function () {
  this.timeout(60_000);
  let api: Server;
  /** Lists that wait for their answer. */
  let lists: Map<string, ServerResponse>;
  let reads: string[];
  let cluster: Cluster;

  beforeEach(async () => {
    lists = new Map();
    reads = [];
    api = createServer((request, response) => {
      const url = new URL(request.url ?? "/", "http://api");
      const { pathname, searchParams } = url;
      if (!COLLECTIONS.includes(pathname as Collection)) reads.push(pathname);
      else if (searchParams.has("watch")) hold()(response, url);
      else lists.set(pathname, response);
    });
    api.listen(0, "127.0.0.1");
    await once(api, "listening");
    const kubeConfig = new KubeConfig();
    const server = `http://127.0.0.1:${(api.address() as AddressInfo).port}`;
    kubeConfig.loadFromClusterAndUser({ name: "c", server, skipTLSVerify: true }, { name: "u", token: "t" });
    cluster = openCluster(
      kubeConfig,
      config,
      { registries: stuckRegistries(), files: [] },
      createLogger("silent"),
      createMetrics(),
    );
    await untilTrue(
      () => COLLECTIONS.every(path => lists.has(path)),
      () => `lists of ${[...lists.keys()].join(", ")}`,
    );
  });

  afterEach(async () => {
    await cluster.close();
    api.closeAllConnections();
    api.close();
  });

  function answer(path: Collection, ...items: readonly object[]): void {
    const response = lists.get(path) ?? assert.fail(`${path} is not being listed`);
    list(7, items)(response, new URL("http://api"));
  }

  const why = () => cluster.namespaces.notReady() ?? "";
  const eventually = (text: RegExp) =>
    untilTrue(
      () => text.test(why()),
      () => `not ready: ${why()}`,
    );

  it("is not ready before namespaces and LimitRanges are listed, whichever comes last", async () => {
    assert.match(why(), /namespaces are not listed yet/);
    answer("/api/v1/namespaces", shop);
    await eventually(/^LimitRanges are not listed yet/);
    answer("/api/v1/limitranges");
    await eventually(/^$/);
  });

  it("is not ready with LimitRanges alone", async () => {
    answer("/api/v1/limitranges");
    answer("/api/v1/pods");
    // What was answered is read, and changes nothing.
    await new Promise(resolve => setTimeout(resolve, 100));
    assert.match(why(), /namespaces are not listed yet/);
  });

  it("is ready without pods, which decisions need not", async () => {
    answer("/api/v1/namespaces", shop);
    answer("/api/v1/limitranges");
    await eventually(/^$/);
    assert.ok(lists.has("/api/v1/pods"));
  });

  it("is ready without ServiceDefaults, whose doubt is of Consul's pods alone", async () => {
    answer("/api/v1/namespaces", shop);
    answer("/api/v1/limitranges");
    await eventually(/^$/);
    assert.ok(lists.has(SERVICE_DEFAULTS_PATH));
    const state = () => cluster.serviceState?.(serviceDefaults("shop", "shop", [], "/wasmount"), null);
    assert.throws(state, { code: "Unreachable", message: /ServiceDefaults are not listed yet/ });
  });

  it("ends all it asks about one pod at one time", async () => {
    const deadline = new Deadline(200);
    const reference = parseReference("registry.example/headers:1");
    const owner = { namespace: "shop", dryRun: true, deadline };
    const answers = await Promise.allSettled([
      cluster.namespaces.get("shop", deadline),
      cluster.namespaces.getNow("shop", deadline),
      cluster.limitsOf("shop", deadline),
      cluster.resolve(reference, { ...owner, owner: "" }),
      cluster.resolve(reference, { ...owner, owner: "u1" }),
    ]);
    const said = answers.map(one => (one.status === "rejected" ? one.reason.code : one.value));
    const problem = {
      problem: "no digest of registry.example/headers:1 came in time",
      cause: "Deadline: no time left for the digest of registry.example/headers:1: 200 ms are over",
    };
    assert.deepEqual(said, ["Deadline", "Deadline", "Deadline", problem, problem]);
    assert.ok(reads.includes("/api/v1/namespaces/shop"));
    assert.ok(reads.includes("/api/v1/namespaces/shop/limitranges"));
  });
});
