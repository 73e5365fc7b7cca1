import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { KubeConfig } from "@kubernetes/client-node";
import { clusterPolicies, POLICY_SETTINGS, type PolicySource } from "../../src/policies/cluster-policies.ts";
import { untilTrue } from "../kube/scripted-api.ts";
import { foundPolicy, policyObject, RELEASE } from "./policies.ts";

const POLICIES = "/apis/wasmount.dev/v1alpha1/wasmpolicies";
const NAMESPACED = "/apis/wasmount.dev/v1alpha1/namespacedwasmpolicies";
const SECRETS = "/api/v1/namespaces/own/secrets";
const CONFIG_MAPS = "/api/v1/namespaces/own/configmaps";
const KINDS = {
  [POLICIES]: "WasmPolicyList",
  [NAMESPACED]: "NamespacedWasmPolicyList",
  [SECRETS]: "SecretList",
  [CONFIG_MAPS]: "ConfigMapList",
} as const;
type Collection = keyof typeof KINDS;

describe("the policies of a cluster", () => {
  let api: Server;
  let lists: Record<Collection, readonly object[] | number>;
  let watches: Map<string, ServerResponse>;
  let asked: URL[];
  let written: { readonly path: string; readonly body: { readonly status: object } }[];
  let policies: PolicySource | null;
  let failures: string[];
  let leading: AbortController;
  let writing: Promise<void> | undefined;

  beforeEach(async () => {
    lists = { [POLICIES]: [], [NAMESPACED]: [], [SECRETS]: [], [CONFIG_MAPS]: [] };
    [watches, asked, written, failures, policies] = [new Map(), [], [], [], null];
    [leading, writing] = [new AbortController(), undefined];
    api = createServer((request, response) => {
      const url = new URL(request.url ?? "/", "http://api");
      asked.push(url);
      if (request.method === "PATCH") {
        let text = "";
        request.on("data", chunk => {
          text += chunk;
        });
        request.on("end", () => {
          written.push({ path: url.pathname, body: JSON.parse(text) });
          response.end("{}");
        });
        return;
      }
      const collection = url.pathname as Collection;
      if (url.searchParams.has("watch")) {
        watches.set(collection, response);
        response.flushHeaders();
        return;
      }
      const items = lists[collection];
      if (typeof items === "number") response.writeHead(items).end("{}");
      else response.end(JSON.stringify({ kind: KINDS[collection], metadata: { resourceVersion: "7" }, items }));
    });
    api.listen(0, "127.0.0.1");
    await once(api, "listening");
  });

  afterEach(async () => {
    leading.abort();
    await Promise.all([policies?.close(), writing]);
    api.closeAllConnections();
    api.close();
  });

  function open(files: Parameters<typeof clusterPolicies>[1]["files"] = [], staleMs = 60_000): PolicySource {
    const kubeConfig = new KubeConfig();
    const server = `http://127.0.0.1:${(api.address() as AddressInfo).port}`;
    kubeConfig.loadFromClusterAndUser({ name: "c", server, skipTLSVerify: true }, { name: "u", token: "t" });
    policies = clusterPolicies(kubeConfig, {
      namespace: "own",
      files,
      interrupted: () => {},
      statusFailed: policy => void failures.push(policy),
      settings: { ...POLICY_SETTINGS, staleMs, backoff: { baseMs: 5, maxMs: 20 } },
    });
    return policies;
  }

  async function ready(source: PolicySource): Promise<PolicySource> {
    await untilTrue(
      () => source.notReady() === null && watches.size === 4,
      () => String(source.notReady()),
    );
    return source;
  }

  const lead = (source: PolicySource) => {
    writing = source.keepStatuses(leading.signal);
  };
  const stored = (name: string, version: string, spec: object = {}) => {
    const object = policyObject(name, spec);
    return { ...object, metadata: { ...object.metadata, uid: name, generation: 1, resourceVersion: version } };
  };
  const send = (collection: Collection, type: string, object: object) =>
    watches.get(collection)?.write(`${JSON.stringify({ type, object })}\n`);
  const names = (source: PolicySource) => source.current().policies.map(({ name }) => name);

  it("are those of the cluster and of files, and change as the watch says so", async () => {
    lists[POLICIES] = [stored("a", "3")];
    const source = await ready(open([foundPolicy("file")]));
    assert.deepEqual(names(source), ["WasmPolicy/a", "WasmPolicy/file"]);
    send(POLICIES, "ADDED", stored("b", "8"));
    await untilTrue(
      () => names(source).length === 3,
      () => names(source).join(),
    );
    send(POLICIES, "DELETED", stored("a", "9"));
    await untilTrue(
      () => !names(source).includes("WasmPolicy/a"),
      () => names(source).join(),
    );
  });

  it("are not compiled anew for a status", async () => {
    lists[POLICIES] = [stored("a", "3")];
    const source = await ready(open());
    lead(source);
    const before = source.current();
    send(POLICIES, "MODIFIED", { ...stored("a", "8"), status: { policyHash: "x" } });
    send(POLICIES, "ADDED", stored("b", "9"));
    await untilTrue(
      () => names(source).length === 2,
      () => names(source).join(),
    );
    assert.notEqual(source.current(), before);
    const after = source.current();
    send(POLICIES, "MODIFIED", { ...stored("a", "10"), status: { policyHash: "y" } });
    await untilTrue(
      () => written.some(({ body }) => JSON.stringify(body).includes('"10"')),
      () => JSON.stringify(written),
    );
    assert.equal(source.current(), after);
  });

  it("know of Secrets what is public, and only of those that are marked", async () => {
    const data = { "cosign.pub": RELEASE.publicPem, "cosign.key": "-----BEGIN ENCRYPTED PRIVATE KEY-----\nx" };
    const encoded = Object.entries(data).map(([key, text]) => [key, Buffer.from(text).toString("base64")]);
    lists[SECRETS] = [
      { metadata: { name: "keys", namespace: "own", resourceVersion: "3" }, data: Object.fromEntries(encoded) },
    ];
    const by = (key: string) => ({
      verify: { authorities: [{ name: "o", key: { secretRef: { name: "keys", key } } }] },
    });
    lists[POLICIES] = [stored("good", "3", by("cosign.pub")), stored("bad", "4", by("cosign.key"))];
    const source = await ready(open());
    const [bad, good] = source.current().policies;
    assert.ok(good && "hash" in good.rule);
    assert.ok(bad && "problem" in bad.rule);
    assert.match(bad.rule.problem, /key cosign\.key, and that is not there/);
    for (const { pathname, searchParams } of asked) {
      if (!pathname.startsWith("/api/v1/")) continue;
      assert.equal(searchParams.get("labelSelector"), "wasmount.dev/trust-material=true", pathname);
    }
  });

  it("are unknown without the definitions, and say what to do", async () => {
    lists[NAMESPACED] = 404;
    const source = open();
    await untilTrue(
      () => /are the definitions and roles of manifests\/install\.yaml there\?/.test(source.notReady() ?? ""),
      () => String(source.notReady()),
    );
    assert.throws(() => source.current(), { code: "Unreachable" });
  });

  it("are unknown where the API server has not confirmed them for too long", async () => {
    const source = await ready(open([], 300));
    api.closeAllConnections();
    api.close();
    await untilTrue(
      () => source.notReady() !== null,
      () => "still ready",
    );
    assert.throws(() => source.current(), { code: "Unreachable", message: /no word about policies/ });
  });

  it("have their statuses written by who leads, for as long as it does", async () => {
    lists[POLICIES] = [stored("a", "3")];
    const source = await ready(open());
    await sleep(1_000);
    assert.equal(written.length, 0, "nobody leads");
    lead(source);
    await untilTrue(
      () => written.length > 0,
      () => failures.join(),
    );
    const [first] = written;
    assert.equal(first?.path, `${POLICIES}/a/status`);
    assert.match(JSON.stringify(first?.body), /"resourceVersion":"3".*"type":"Ready","status":"True"/);
    leading.abort();
    await writing;
    send(POLICIES, "ADDED", stored("b", "8"));
    await untilTrue(
      () => names(source).length === 2,
      () => names(source).join(),
    );
    await sleep(1_000);
    assert.ok(written.every(({ path }) => path === `${POLICIES}/a/status`));
  });
});
