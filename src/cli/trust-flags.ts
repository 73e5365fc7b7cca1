import { readFile } from "node:fs/promises";
import { type Command, InvalidArgumentError, Option } from "commander";
import { messageOf } from "../error.ts";
import { ImageError } from "../images/error.ts";
import type { Place } from "../images/place.ts";
import type { RegistryError } from "../oci/error.ts";
import type { Reference } from "../oci/reference.ts";
import { printable } from "../printable.ts";
import type { EvidenceSource } from "../trust/collection.ts";
import type { Policy } from "../trust/policy.ts";
import type { Rule } from "../trust/rule.ts";
import type { Materials } from "../trust/rules.ts";
import type { ImageRepository, NamespaceFacts } from "../trust/selection.ts";
import type { Unmatched, Verdict } from "../trust/verdict.ts";
import type { ImageVerb } from "./image-verb.ts";

/** The flags of verbs that judge images by policies. */
export interface PolicyFlags {
  readonly namespace: string;
  readonly namespaceLabel?: Readonly<Record<string, string>>;
  readonly material?: Readonly<Record<string, string>>;
  readonly unmatched: Unmatched;
}

export function withPolicyFlags(command: Command): Command {
  return command
    .option("--namespace <name>", "the namespace of the pod that would use the image", "default")
    .option("--namespace-label <key=value>", "a label of that namespace (repeatable)", pair)
    .option(
      "--material <name/key=file>",
      "what a policy's secretRef or trustedRootRef refers to, in a file (repeatable)",
      pair,
    )
    .addOption(
      new Option("--unmatched <what>", "what goes for an image that no WasmPolicy is for")
        .choices(["Deny", "Warn", "Allow"])
        .default("Deny"),
    );
}

/** A key may stand once: which of two values is meant, nobody knows. */
export function pair(text: string, before: Readonly<Record<string, string>> = {}): Readonly<Record<string, string>> {
  const at = text.indexOf("=");
  const key = text.slice(0, Math.max(at, 0));
  if (key === "") throw new InvalidArgumentError("write KEY=VALUE.");
  if (Object.hasOwn(before, key)) throw new InvalidArgumentError(`${key} stands there twice.`);
  return { ...before, [key]: text.slice(at + 1) };
}

/** @throws {ImageError} BadFile */
export async function readText(file: string): Promise<string> {
  try {
    return await readFile(file, "utf8");
  } catch (error) {
    throw new ImageError("BadFile", `${file} can't be read: ${messageOf(error)}`);
  }
}

/** The policies of some files, and what of them goes for an image. */
export interface PolicySet {
  rulesFor(image: ImageRepository): readonly Rule[];
}

/** @throws {ImageError} BadFile; {TrustError} */
export async function readPolicies(files: readonly string[], flags: PolicyFlags): Promise<PolicySet> {
  const { parsePolicies } = await import("../trust/policy-file.ts");
  const { ruleOf } = await import("../trust/rules.ts");
  const { matchingPolicies } = await import("../trust/selection.ts");
  const policies: Policy[] = [];
  for (const file of files) policies.push(...parsePolicies(await readText(file), file));
  const materials = await readMaterials(flags.material ?? {});
  const namespace: NamespaceFacts = {
    name: flags.namespace,
    // The API server sets it on every namespace.
    labels: { ...flags.namespaceLabel, "kubernetes.io/metadata.name": flags.namespace },
  };
  return { rulesFor: image => matchingPolicies(policies, image, namespace).map(policy => ruleOf(policy, materials)) };
}

async function readMaterials(files: Readonly<Record<string, string>>): Promise<Materials> {
  const texts = new Map<string, string>();
  for (const [name, file] of Object.entries(files)) texts.set(name, await readText(file));
  const find = (name: string, key: string) => texts.get(`${name}/${key}`) ?? null;
  return { secret: find, configMap: find };
}

/** @throws {ImageError} WrongPlace */
export function registryReference(place: Place): Reference {
  if (place.kind === "registry") return place.reference;
  throw new ImageError("WrongPlace", "signatures are read from registries: write registry.example/team/filter:1.0");
}

/** One image's verdict, in both forms. */
export interface Judgement {
  readonly text: string;
  readonly json: { readonly image: string; readonly digests: readonly string[] } & Verdict;
}

/** Resolves an image, judges it and says how it came out. */
export async function judgement(
  reference: Reference,
  rulesFor: (image: ImageRepository) => readonly Rule[],
  unmatched: Unmatched,
  { client, signal }: Pick<ImageVerb, "client" | "signal">,
): Promise<Judgement> {
  const { formatReference } = await import("../oci/reference.ts");
  const { DEFAULT_LIMITS } = await import("../oci/limits.ts");
  const { judgeImage, resolveImage } = await import("../trust/judging.ts");
  const { verdictText } = await import("../trust/verdict-text.ts");
  const image = await resolveImage(client, reference, signal);
  const unreadable = (error: RegistryError) => ({ unreadable: error.message, deferrable: false });
  const options = { unmatched, stage: "Fetcher", unreadable, signal } as const;
  // As admission reads signatures: more referrers than it allows must not pass here.
  const source: EvidenceSource = {
    limits: DEFAULT_LIMITS,
    manifest: (...asked) => client.manifest(...asked),
    blob: (...asked) => client.blob(...asked),
    referrers: (...asked) => client.referrers(...asked),
  };
  const verdict = await judgeImage(source, rulesFor(image), image, options);
  const name = formatReference(reference);
  const text = verdictText(name, image.digests, verdict).split("\n").map(printable).join("\n");
  return { text, json: { image: name, digests: image.digests, ...verdict } };
}
