import assert from "node:assert/strict";
import type { Answer, Ask } from "../../src/hooks/calls.ts";
import type { HookError } from "../../src/hooks/error.ts";
import { uninstall } from "../../src/hooks/uninstall.ts";

const ok = (body: unknown): Answer => ({ status: 200, body, message: "" });
const absent: Answer = { status: 404, body: { kind: "Status" }, message: "not found" };

interface World {
  /** Names of injected pods. */
  readonly injected?: readonly string[];
  readonly forced?: string;
  /** Looks at the replicas that still find one. */
  readonly lingering?: number;
  /** Seconds that it is given to end. */
  readonly grace?: number | undefined;
  readonly answer?: (method: string, path: string, body?: object) => Answer | undefined;
}

function graceText(body: object = {}): string {
  const { gracePeriodSeconds } = body as { readonly gracePeriodSeconds?: number };
  return gracePeriodSeconds === undefined ? "" : ` within ${gracePeriodSeconds} s`;
}

/** An API server as far as the hook asks it. @returns what it was asked, and what the hook said */
async function run({ injected = [], forced, lingering = 0, grace, answer }: World) {
  const calls: string[] = [];
  const said: string[] = [];
  let looks = 0;
  let now = 0;
  const items = (names: readonly string[]) => names.map(name => ({ metadata: { namespace: "shop", name } }));
  const pageOf = (path: string) => {
    const from = Number(new URL(path, "http://x").searchParams.get("continue") ?? "0");
    const next = from + 500;
    const token = next < injected.length ? { continue: String(next) } : {};
    return ok({ items: items(injected.slice(from, next)), metadata: token });
  };
  const ask: Ask = async (method, path, { body } = {}) => {
    calls.push(`${method} ${decodeURIComponent(path.replace(/\?.*/, ""))}${graceText(body)}`);
    const special = answer?.(method, path, body);
    if (special) return special;
    if (method === "DELETE") return ok({});
    if (path.startsWith("/api/v1/pods?")) return pageOf(path);
    if (path.includes("/pods?")) {
      looks += 1;
      const replica = { metadata: { namespace: "own", name: "replica", deletionGracePeriodSeconds: grace } };
      return ok({ items: looks <= lingering ? [replica] : [] });
    }
    return ok({ metadata: { annotations: forced === undefined ? {} : { "wasmount.dev/force-uninstall": forced } } });
  };
  const done = await uninstall({
    ask,
    namespace: "own",
    clock: () => now,
    sleep: async milliseconds => {
      now += milliseconds;
    },
    say: line => said.push(line),
  });
  return { done, calls, said: said.join("\n"), deleted: calls.filter(call => call.startsWith("DELETE")) };
}

describe("what comes before an uninstallation", () => {
  it("is refused while injected pods run, before anything is removed, with their names", async () => {
    const { done, deleted, said } = await run({ injected: ["a", "b"] });
    assert.equal(done, false);
    assert.deepEqual(deleted, []);
    assert.match(said, /2 injected pods run: shop\/a, shop\/b\./);
    assert.match(said, /kubectl annotate namespace own wasmount\.dev\/force-uninstall=true/);
  });

  it("counts the pods of all pages, and names the first 50", async () => {
    const { said } = await run({ injected: Array.from({ length: 1_201 }, (_, index) => `pod-${index}`) });
    assert.match(said, /1201 injected pods run/);
    assert.match(said, /pod-49 and 1151 more\./);
    assert.doesNotMatch(said, /pod-50\b/);
  });

  it("goes on where the namespace says so, and by no other word than true", async () => {
    assert.equal((await run({ injected: ["a"], forced: "true" })).done, true);
    assert.equal((await run({ injected: ["a"], forced: "yes" })).done, false);
  });

  it("unblocks pods first, ends replicas, and only then removes what they would make anew", async () => {
    const { done, calls } = await run({ lingering: 3 });
    assert.equal(done, true);
    const at = (part: string) => calls.findLastIndex(call => call.includes(part));
    const order = [
      at("validatingadmissionpolicybindings"),
      at("webhookconfigurations"),
      at("deployments/wasmount-webhook"),
      at("replicasets"),
      calls.findIndex(call => call.includes("DELETE /api/v1/namespaces/own/pods/")),
      at("own/pods"),
      calls.findIndex(call => call.includes("secrets")),
      at("configmaps"),
    ];
    assert.ok(order.every(index => index >= 0));
    assert.deepEqual(
      order,
      order.toSorted((left, right) => left - right),
    );
  });

  it("leaves to nobody else how long replicas take to end", async () => {
    const policies = new Map<string, unknown>();
    await run({
      answer: (method, path, body) => {
        if (method === "DELETE") policies.set(path.split("?")[0] ?? "", body);
        return undefined;
      },
    });
    const orphaned = [...policies].filter(([path]) => path.startsWith("/apis/apps/v1/"));
    assert.deepEqual(orphaned, [
      ["/apis/apps/v1/namespaces/own/deployments/wasmount-webhook", { propagationPolicy: "Orphan" }],
      ["/apis/apps/v1/namespaces/own/replicasets", { propagationPolicy: "Orphan" }],
    ]);
  });

  it("waits for no connection of replicas that nobody calls any more", async () => {
    const ended = ({ deleted }: { readonly deleted: readonly string[] }) =>
      deleted.filter(call => call.includes("pods/"));
    for (const grace of [undefined, 110]) {
      assert.deepEqual(ended(await run({ lingering: 1, grace })), [
        "DELETE /api/v1/namespaces/own/pods/replica within 10 s",
      ]);
    }
    assert.deepEqual(ended(await run({ lingering: 1, grace: 10 })), []);
  });

  it("gives up on replicas that stay, and leaves their Secrets", async () => {
    await assert.rejects(run({ lingering: Infinity }), (error: HookError) => error.code === "StillRunning");
  });

  it("may be repeated: what is not there need not be removed", async () => {
    const { done } = await run({ answer: method => (method === "DELETE" ? absent : undefined) });
    assert.equal(done, true);
  });

  for (const [what, path] of [
    ["pods can't be listed", "/api/v1/pods?"],
    ["the namespace can't be read", "/namespaces/own"],
    ["a binding can't be deleted", "validatingadmissionpolicybindings/"],
  ] as const) {
    it(`ends where ${what}`, async () => {
      const answer = (_: string, asked: string): Answer | undefined =>
        asked.includes(path) ? { status: 403, body: {}, message: "forbidden: no" } : undefined;
      await assert.rejects(
        run({ answer }),
        (error: HookError) => error.code === "Refused" && /HTTP 403: forbidden: no/.test(error.message),
      );
    });
  }
});
