import assert from "node:assert/strict";
import type { Answer, Ask } from "../../src/hooks/calls.ts";
import type { HookError } from "../../src/hooks/error.ts";
import { type InstalledSlots, type MeshSlots, mayUpgrade } from "../../src/hooks/upgrade.ts";

const ok = (body: unknown): Answer => ({ status: 200, body, message: "" });
const CONFIG = `
istio:
  enabled: true
  slots: 4
  rootNamespace: istio-system
volume: {mountPath: /wasmount}
`;
const KUMA = "dataPlanes: [kuma]\nkuma: {slots: 4, meshes: [default, other]}\n";
const SAME: InstalledSlots = {
  istio: { slots: 4, namespace: "istio-system", meshes: [] },
  kuma: { slots: 4, namespace: "kuma-system", meshes: ["default", "other"] },
  mountPath: "/wasmount",
};

/** As many slots of Istio, and all else as it is. */
const istio = (slots: number) => ({ istio: { ...SAME.istio, slots } });
const kuma = (changes: Partial<MeshSlots>) => ({ kuma: { ...SAME.kuma, ...changes } });

interface World {
  readonly config?: string | null;
  /** Slots that injected pods carry, by their names. */
  readonly pods?: Readonly<Record<string, readonly string[]>>;
  readonly forced?: boolean;
  /** Annotations of all pods. */
  readonly annotations?: Readonly<Record<string, string>>;
  readonly answer?: (path: string) => Answer | undefined;
}

async function run(
  wanted: Partial<InstalledSlots>,
  { config = CONFIG, pods = {}, forced = false, annotations = {}, answer }: World = {},
) {
  const said: string[] = [];
  const ask: Ask = async (method, path) => {
    assert.equal(method, "GET");
    const special = answer?.(path);
    if (special) return special;
    if (path.includes("/configmaps/wasmount-config")) {
      return config === null ? { status: 404, body: {}, message: "" } : ok({ data: { "wasmount.yaml": config } });
    }
    if (path.startsWith("/api/v1/pods?")) {
      const items = Object.entries(pods).map(([name, slots]) => ({
        metadata: {
          namespace: "shop",
          name,
          annotations,
          labels: {
            "wasmount.dev/injected": "true",
            ...Object.fromEntries(slots.map(slot => [`wasmount.dev/${slot}`, "true"])),
          },
        },
      }));
      return ok({ items });
    }
    return ok({ metadata: { annotations: forced ? { "wasmount.dev/force-upgrade": "true" } : {} } });
  };
  const may = await mayUpgrade({ ...SAME, ...wanted }, { ask, namespace: "own", say: line => said.push(line) });
  return { may, said: said.join("\n") };
}

const PODS = { cart: ["slot-in-last-03", "slot-in-last-01", "http-only"], plain: [] };

describe("what comes before an upgrade", () => {
  it("is refused where a running pod carries a slot that would go, with its name and the slot", async () => {
    const { may, said } = await run(istio(2), { pods: PODS });
    assert.equal(may, false);
    assert.match(said, /istio\.slots goes from 4 to 2, and 1 running pod carries .*: shop\/cart \(slot-in-last-03\)\./);
    assert.match(said, /kubectl annotate namespace own wasmount\.dev\/force-upgrade=true/);
  });

  for (const [what, wanted] of [
    ["istio.enabled becomes false", istio(0)],
    ["istio.rootNamespace goes from istio-system to mesh", { istio: { ...SAME.istio, namespace: "mesh" } }],
    ["volume.mountPath goes from /wasmount to /opt/filters", { mountPath: "/opt/filters" }],
  ] as const) {
    it(`is refused where ${what}, for every slot`, async () => {
      const { may, said } = await run(wanted, { pods: PODS });
      assert.equal(may, false);
      assert.ok(said.startsWith(`${what}, and 1 running pod`), said);
      assert.match(said, /shop\/cart \(slot-in-last-03, slot-in-last-01, http-only\)/);
    });
  }

  it("is refused where pods of Kuma would lose theirs, and not where pods of another mesh would not", async () => {
    const world = { config: KUMA, pods: PODS, annotations: { "kuma.io/sidecar-injected": "true" } };
    for (const [wanted, what] of [
      [{ slots: 2 }, "kuma.slots goes from 4 to 2"],
      [{ slots: 0 }, "dataPlanes has kuma no more"],
      [{ namespace: "kong-mesh-system" }, "kuma.systemNamespace goes from kuma-system to kong-mesh-system"],
      [{ meshes: ["other"] }, "kuma.meshes has default no more"],
    ] as const) {
      const { may, said } = await run(kuma(wanted), world);
      assert.ok(!may && said.startsWith(`${what}, and 1 running pod`), said);
    }
    assert.equal((await run(kuma({ meshes: ["default", "other", "third"], slots: 5 }), world)).may, true);
    assert.equal((await run(kuma({ meshes: ["default"] }), world)).may, true, "the pod is in the mesh that stays");
    assert.equal((await run(kuma({ slots: 2 }), { ...world, annotations: {} })).may, false, "there is no other mesh");
    const meshes = { ...world, config: `${CONFIG}${KUMA}` };
    assert.equal((await run(istio(0), meshes)).may, true);
    assert.equal((await run(kuma({ slots: 2 }), { ...meshes, annotations: {} })).may, true);
  });

  it("goes on where the pods' slots stay, or more are added", async () => {
    for (const slots of [3, 4, 9]) assert.equal((await run(istio(slots), { pods: PODS })).may, true, String(slots));
  });

  it("goes on where no pod carries a slot, or the namespace says so", async () => {
    assert.equal((await run(istio(0), { pods: { plain: [] } })).may, true);
    assert.equal((await run(istio(0), { pods: PODS, forced: true })).may, true);
  });

  it("goes on where nothing, or no Istio, is installed", async () => {
    for (const config of [null, "", "istio: {enabled: false}", "listen: {}"]) {
      assert.equal((await run({ mountPath: "/else" }, { config, pods: PODS })).may, true, String(config));
    }
  });

  it("takes the defaults for what the installed configuration leaves out", async () => {
    const { said } = await run(istio(2), { config: "istio: {enabled: true}", pods: PODS });
    assert.match(said, /istio\.slots goes from 4 to 2/);
  });

  for (const path of ["/configmaps/wasmount-config", "/api/v1/pods?", "/namespaces/own"]) {
    it(`ends where ${path} may not be read`, async () => {
      const answer = (asked: string): Answer | undefined =>
        (path === "/namespaces/own" ? asked.endsWith(path) : asked.includes(path))
          ? { status: 403, body: {}, message: "forbidden: no" }
          : undefined;
      await assert.rejects(
        run(istio(0), { pods: PODS, answer }),
        (error: HookError) => error.code === "Refused" && /HTTP 403: forbidden: no/.test(error.message),
      );
    });
  }
});
