import { defaultConfig, loadConfig } from "../config/load.ts";
import { namespacesFromFile } from "../kube/namespace-file.ts";
import type { DataPlaneName } from "../plan/plan.ts";
import { printable } from "../printable.ts";
import type { Origins } from "./applied.ts";
import { admissionCore } from "./core.ts";
import { InjectError } from "./error.ts";
import { type Decide, type InjectedManifest, injectManifests } from "./injection.ts";
import { type Input, readInput } from "./input.ts";
import { parseManifest } from "./manifest.ts";
import { namespacesOf } from "./namespaces.ts";
import { type Output, outputText } from "./output.ts";
import { decisionText, denial, explanation, warnings } from "./report.ts";
import { answerReview } from "./review.ts";

export interface InjectOptions {
  /** Paths; "-" for the standard input. */
  readonly files: readonly string[];
  readonly stdin: AsyncIterable<Uint8Array>;
  /** Of manifests that name none. */
  readonly namespace: string;
  readonly namespaceFile: string | null;
  /** Path of the operator's configuration; null for the defaults with `fetcherImage`. */
  readonly config: string | null;
  readonly fetcherImage: string;
  /** The one that proxies are looked for of; null for all that the configuration has. */
  readonly dataPlane: DataPlaneName | null;
  readonly output: Output;
  /** The input is an AdmissionReview, and so is the output. */
  readonly review: boolean;
  /** Say of every pod what was decided. */
  readonly explain: boolean;
  readonly userAgent: string;
}

export interface InjectResult {
  /** All of the standard output. */
  readonly text: string;
  /** Lines for the standard error. */
  readonly messages: readonly string[];
  readonly denied: boolean;
}

/**
 * Decides about manifests as the webhook would about the pods that come of them, and writes them out injected. Where
 * one is denied there is no output but an AdmissionReview, whose place it is to say so.
 * @throws InjectError, ConfigError, KubeError
 */
export async function runInject(options: InjectOptions): Promise<InjectResult> {
  if (options.files.filter(file => file === "-").length > 1) {
    throw new InjectError("BadUsage", "-f - is given twice, but there is one standard input");
  }
  const inputs: Input[] = [];
  for (const file of options.files) inputs.push(await readInput(file, options.stdin));
  const config = options.config === null ? defaultConfig(options.fetcherImage) : await loadConfig(options.config);
  const core = await admissionCore(config, options.dataPlane, options.userAgent);
  try {
    return await (options.review ? reviewed : manifests)(inputs, options, core.decide);
  } finally {
    core.close();
  }
}

async function reviewed(inputs: readonly Input[], options: InjectOptions, decide: Decide): Promise<InjectResult> {
  const [input] = inputs;
  if (input === undefined || inputs.length > 1) {
    throw new InjectError("BadUsage", `--review reads one AdmissionReview, and ${inputs.length} files are given`);
  }
  const namespaces = options.namespaceFile === null ? null : await namespacesFromFile(options.namespaceFile);
  const { decision, response, subject } = await answerReview(input, namespacesOf(namespaces, []), decide);
  const denied = decision.outcome === "Denied";
  const messages = denied || options.explain ? [`${printable(subject)}: ${decisionText(decision)}`] : [];
  return { text: `${JSON.stringify(response, null, 2)}\n`, messages, denied };
}

async function manifests(inputs: readonly Input[], options: InjectOptions, decide: Decide): Promise<InjectResult> {
  const origins: Origins = new WeakMap();
  const injected = await injectManifests(inputs.map(parseManifest), {
    decide,
    defaultNamespace: options.namespace,
    namespaceFile: options.namespaceFile === null ? null : await namespacesFromFile(options.namespaceFile),
    origins,
  });
  const messages = decisionMessages(injected, options.explain);
  const denied = injected.some(({ injections }) => injections.some(({ decision }) => decision.outcome === "Denied"));
  if (denied && options.output !== "review") return { text: "", messages, denied };
  const { text, anew } = outputText(injected, options.output, origins);
  const notes = anew.map(place => `Warning: ${printable(place)} was written anew, without its comments and anchors`);
  return { text, messages: [...messages, ...notes], denied };
}

function decisionMessages(injected: readonly InjectedManifest[], explain: boolean): string[] {
  return injected.flatMap(({ injections }) =>
    injections.flatMap(injection => {
      if (injection.decision.outcome === "Denied") return [denial(injection)];
      return [...(explain ? [explanation(injection)] : []), ...warnings(injection)];
    }),
  );
}
