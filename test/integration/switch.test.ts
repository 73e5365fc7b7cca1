import assert from "node:assert/strict";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parse } from "yaml";
import type { Pod } from "../../src/kube/pod.ts";
import { clusterUnavailable, openCluster } from "../environment/cluster/cluster.ts";
import { exampleManifest } from "../environment/example.ts";
import { Kubectl } from "../environment/kubectl.ts";
import { makeNamespace } from "../environment/namespace.ts";
import { registerWebhook } from "../environment/registration.ts";
import { unavailable } from "../environment/requirement.ts";
import type { Manifest } from "../environment/stage.ts";
import { startWebhookProcess, type WebhookProcess } from "../environment/webhook-process.ts";

const PREFIX = "integration-switch";
const ABSENT = "–";
const FILTER = { "wasmount.dev/module.headers": `registry.example/headers@sha256:${"a".repeat(64)}` };

interface Row {
  readonly locked: string;
  readonly inject: string;
  readonly own: string;
  /** Path that is called, or – for none. */
  readonly called: string;
  /** A reason, or "untouched". */
  readonly outcome: string;
}

/** The table in docs/switch.md. */
async function readTable(): Promise<Row[]> {
  const text = await readFile(new URL("../../docs/switch.md", import.meta.url), "utf8");
  return text
    .split("\n")
    .map(line => line.split("|").map(cell => cell.trim()))
    .filter(cells => cells.length === 7 && /^(–|true|false|junk)$/.test(cells[1] ?? ""))
    .map(([, locked = "", inject = "", own = "", called = "", outcome = ""]) => ({
      locked,
      inject,
      own,
      called,
      outcome,
    }));
}

describe("the switch, by a real API server", function () {
  this.timeout(15 * 60_000);
  let folder: string;
  let kubectl: Kubectl;
  let webhook: WebhookProcess;
  let unregister: () => Promise<void>;
  let rows: Row[];
  let pod: Manifest;
  const namespaces: string[] = [];

  before(async function () {
    const reason = await clusterUnavailable({ node: false });
    if (reason !== null) unavailable(this, reason);
    const cluster = await openCluster({ node: false, progress: line => console.log(`      ${line}`) });
    kubectl = new Kubectl(cluster);
    folder = await mkdtemp(join(tmpdir(), "wasmount-switch-"));
    rows = await readTable();
    const labels = new Map(rows.map(row => [namespaceOf(row), row]));
    namespaces.push(...labels.keys());
    await Promise.all(
      [...labels].map(([name, row]) =>
        makeNamespace(kubectl, name, {
          labels: { ...labelled("wasmount.dev/locked", row.locked), ...labelled("wasmount.dev/inject", row.inject) },
          annotations: takesFromPods(row) ? {} : FILTER,
        }),
      ),
    );
    webhook = await startWebhookProcess({
      folder,
      namespaces: ["--kubeconfig", cluster.kubeconfigPath],
      config: { fetcher: { image: "registry.example/wasmount:1" } },
    });
    unregister = await registerWebhook(cluster.kubeConfig, { ...webhook, name: PREFIX, namespaces });
    pod = parse(await exampleManifest("pod"));
  });

  after(async () => {
    await unregister?.();
    await webhook?.stop();
    await kubectl?.run(["delete", "namespace", ...namespaces, "--ignore-not-found", "--wait=false"]);
    if (folder) await rm(folder, { recursive: true, force: true });
  });

  it("has a row for every combination of labels", () => {
    assert.equal(new Set(rows.map(row => `${row.locked} ${row.inject} ${row.own}`)).size, 64);
  });

  it("does what each row of its table says, and calls us at most once", async () => {
    const outcomes: string[] = [];
    for (const [index, row] of rows.entries()) outcomes.push(await create(`row-${index}`, row));
    // What it has logged is complete only when it has ended.
    await webhook.stop();
    const wrong = rows.flatMap((row, index) => {
      const expected = [...callsOf(row), row.outcome].join(", ");
      const found = [...callsAbout(`row-${index}`), outcomes[index]].join(", ");
      return found === expected ? [] : [`${JSON.stringify(row)}: ${found}`];
    });
    assert.deepEqual(wrong, []);
  });

  async function create(name: string, row: Row): Promise<string> {
    const manifest: Manifest = structuredClone(pod);
    manifest.metadata.name = name;
    manifest.metadata.namespace = namespaceOf(row);
    manifest.metadata.labels = labelled("wasmount.dev/inject", row.own);
    manifest.metadata.annotations = takesFromPods(row) ? FILTER : {};
    try {
      const text = await kubectl.run(["create", "--dry-run=server", "-f", "-", "-o", "json"], JSON.stringify(manifest));
      const created = JSON.parse(text) as Pod;
      return created.spec.initContainers?.[0]?.name === "wasmount-fetch" ? "Injected" : "untouched";
    } catch (error) {
      return /wasmount: (\w+):/.exec(String(error))?.[1] ?? String(error);
    }
  }

  function callsAbout(name: string): string[] {
    return webhook
      .log()
      .trim()
      .split("\n")
      .map(line => JSON.parse(line))
      .filter(line => line.pod === name)
      .map(({ side, entry }) => `${side} ${entry}`);
  }
});

/** Who is denied before all webhooks have changed the pod is not asked about again. */
function callsOf({ called, outcome }: Row): string[] {
  if (called === ABSENT) return [];
  return outcome === "Injected" ? [`mutate ${called}`, `validate ${called}`] : [`mutate ${called}`];
}

/** A locked namespace takes nothing from its pods, so that its filter is its own. */
function takesFromPods({ locked }: Row): boolean {
  return locked === ABSENT || locked === "false";
}

function labelled(key: string, value: string): Record<string, string> {
  return value === ABSENT ? {} : { [key]: value };
}

function namespaceOf({ locked, inject }: Row): string {
  const spelled = (value: string) => (value === ABSENT ? "absent" : value);
  return `${PREFIX}-${spelled(locked)}-${spelled(inject)}`;
}
