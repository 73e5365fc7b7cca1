import { isDeepStrictEqual } from "node:util";
import { prepare } from "../admission/admission.ts";
import { slotsOf } from "../admission/filter-references.ts";
import { isLocked } from "../admission/switch.ts";
import type { Config } from "../config/config.ts";
import { defaultConfig, loadConfig } from "../config/load.ts";
import type { AttachingObject } from "../dataplanes/attaching-object.ts";
import type { DataPlane } from "../dataplanes/data-plane.ts";
import { isRefusal } from "../decision/refusal.ts";
import type { Namespace } from "../kube/namespace.ts";
import { namespacesFromFile } from "../kube/namespace-file.ts";
import type { Pod } from "../kube/pod.ts";
import type { DataPlaneName } from "../plan/plan.ts";
import { printable } from "../printable.ts";
import { offlineDataPlanes } from "./data-planes.ts";
import { InjectError } from "./error.ts";
import { readInput } from "./input.ts";
import { parseManifest } from "./manifest.ts";
import { namespacesOf } from "./namespaces.ts";
import { podOf } from "./pod-of.ts";
import { documentText } from "./rendering.ts";
import { decisionText } from "./report.ts";
import { objectsOf, readWorkload, workloadKinds } from "./workload.ts";

export interface AttachOptions {
  /** Paths; "-" for the standard input. */
  readonly files: readonly string[];
  readonly stdin: AsyncIterable<Uint8Array>;
  /** Of manifests that name none. */
  readonly namespace: string;
  readonly namespaceFile: string | null;
  /** Path of the operator's configuration; null for the defaults with `fetcherImage`. */
  readonly config: string | null;
  readonly fetcherImage: string;
  /** null for all that the configuration has. */
  readonly dataPlane: DataPlaneName | null;
  readonly json: boolean;
}

export interface AttachResult {
  /** All of the standard output. */
  readonly text: string;
  /** Lines for the standard error. */
  readonly messages: readonly string[];
  /** Whether there is a pod whose objects can't be told. */
  readonly incomplete: boolean;
}

/** What a pod needs of its platform, and what is to be said of it. */
interface Attached {
  readonly objects: readonly AttachingObject[];
  readonly messages: readonly string[];
  readonly incomplete: boolean;
}

/**
 * Tells by which objects of their platform the proxies of some pods load their filters. No registry is asked: what an
 * object says depends on no digest.
 * @throws InjectError, ConfigError, KubeError
 */
export async function runAttach(options: AttachOptions): Promise<AttachResult> {
  if (options.files.filter(file => file === "-").length > 1) {
    throw new InjectError("BadUsage", "-f - is given twice, but there is one standard input");
  }
  const config = options.config === null ? defaultConfig(options.fetcherImage) : await loadConfig(options.config);
  const dataPlanes = offlineDataPlanes(config, options.dataPlane);
  const documents = [];
  for (const file of options.files) documents.push(...parseManifest(await readInput(file, options.stdin)).documents);
  const objects = documents.flatMap(objectsOf);
  const file = options.namespaceFile === null ? null : await namespacesFromFile(options.namespaceFile);
  const findNamespace = namespacesOf(file, objects);
  const all: Attached[] = [];
  for (const workload of objects.flatMap(object => readWorkload(object) ?? [])) {
    const namespace = await findNamespace(workload.namespace ?? options.namespace);
    const { pod } = podOf(workload);
    const subject = printable(`${workload.kind} ${namespace.name}/${workload.name}`);
    all.push(
      attachedTo({ ...pod, metadata: { ...pod.metadata, namespace: namespace.name } }, namespace, {
        config,
        dataPlanes,
        subject,
        isConfigured: options.config !== null,
      }),
    );
  }
  if (all.length === 0) {
    throw new InjectError(
      "BadObject",
      `there is no workload among the manifests: looked for ${workloadKinds.join(", ")}`,
    );
  }
  const needed = distinct(all.flatMap(one => one.objects));
  return {
    text: options.json
      ? `${JSON.stringify({ apiVersion: "v1", kind: "List", items: needed }, null, 2)}\n`
      : yamlOf(needed),
    messages: all.flatMap(({ messages }) => messages),
    incomplete: all.some(({ incomplete }) => incomplete),
  };
}

/** The data planes whose objects stand before any pod: with other settings they would be taken from under all that run. */
const INSTALLED: ReadonlySet<DataPlaneName> = new Set<DataPlaneName>(["istio", "kuma"]);

interface Context {
  /** Whether the configuration is the operator's, and not the defaults. */
  readonly isConfigured: boolean;
  readonly config: Config;
  readonly dataPlanes: readonly DataPlane[];
  readonly subject: string;
}

function attachedTo(pod: Pod, namespace: Namespace, { config, dataPlanes, subject, isConfigured }: Context): Attached {
  const prepared = prepare(pod, namespace, dataPlanes, config);
  if ("outcome" in prepared) {
    const advice =
      prepared.outcome === "Deferred"
        ? "; give a pod as it runs: kubectl get pod NAME -o yaml | wasmount attach -f -"
        : "";
    return {
      objects: [],
      messages: [`${subject}: ${decisionText(prepared)}${advice}`],
      incomplete: prepared.outcome !== "Skipped",
    };
  }
  const { dataPlane, proxy, settings, references } = prepared;
  const slots = slotsOf(settings.filters);
  const filters = references.map(({ filter }, index) => ({ ...filter, slot: slots[index] as string }));
  const attachment = dataPlane.attach(pod, proxy, settings, {
    root: config.volume.mountPath,
    filters,
    locked: isLocked(namespace),
  });
  if (isRefusal(attachment)) {
    const { reason, detail } = attachment;
    return {
      objects: [],
      messages: [`${subject}: ${decisionText({ outcome: "Denied", reason, detail })}`],
      incomplete: true,
    };
  }
  const objects = attachment.objects();
  if (objects.length > 0 && !isConfigured && INSTALLED.has(dataPlane.name)) {
    throw new InjectError(
      "BadUsage",
      `objects of ${dataPlane.name} are as the operator's configuration says, which the chart installs them by: give it with --config (kubectl get configmap wasmount-config -n wasmount-system -o jsonpath='{.data.wasmount\\.yaml}')`,
    );
  }
  const names = filters.map(({ name, slot }) => `${name} (${slot})`).join(", ");
  const by =
    objects.length === 0
      ? "what admission changes in the pod attaches them, and nothing is to be applied"
      : objects.map(({ kind, metadata }) => `${kind} ${metadata.namespace ?? ""}/${metadata.name}`).join(", ");
  return {
    objects,
    messages: [
      printable(`${subject}: ${dataPlane.name}, filters ${names}: ${by}`),
      ...attachment.warnings.map(text => printable(`Warning: ${subject}: ${text}`)),
    ],
    incomplete: false,
  };
}

/** Each object once. @throws InjectError Inexpressible where two pods would have one and the same differ */
function distinct(objects: readonly AttachingObject[]): AttachingObject[] {
  const byIdentity = new Map<string, AttachingObject>();
  for (const object of objects) {
    const { apiVersion, kind, metadata } = object;
    const identity = `${apiVersion} ${kind} ${metadata.namespace ?? ""}/${metadata.name}`;
    const other = byIdentity.get(identity);
    if (other !== undefined && !isDeepStrictEqual(other, object)) {
      throw new InjectError(
        "Inexpressible",
        `two pods need ${kind} ${metadata.name} in different forms: one object serves both, so their filters have to be the same`,
      );
    }
    byIdentity.set(identity, object);
  }
  return [...byIdentity.values()];
}

function yamlOf(objects: readonly AttachingObject[]): string {
  const style = { lineEnd: "\n", listIndent: 2, json: false };
  return objects.map(object => `${documentText(object, style)}\n`).join("---\n");
}
