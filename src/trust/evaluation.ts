import type { LayoutName } from "../oci/layout.ts";
import { type AuthorityResult, askAuthority } from "./authority-check.ts";
import { distinctSigners } from "./distinct.ts";
import type { Evidence } from "./evidence.ts";
import type { Authority, Rule } from "./rule.ts";
import type { AuthorityVerdict, PolicyVerdict, Unmatched, Verdict } from "./verdict.ts";

/** An image as a pod names it, and what that stands for. */
export interface JudgedImage {
  /** In the one spelling of references. */
  readonly registry: string;
  readonly repository: string;
  /** As it was named; null where it was not. */
  readonly tag: string | null;
  /** Whether it was named by its digest. */
  readonly byDigest: boolean;
  /** What was named stands for: an index's digest and that of the image in it which will run, or one. */
  readonly digests: readonly string[];
  /** What it holds, where that is known: the fetcher has it, admission does not. */
  readonly module?: { readonly layout: LayoutName; readonly bytes: number };
}

/** What was found where a rule's signatures are, or that this place could not be asked. */
export type Found = Evidence | Unreadable;

export interface Unreadable {
  /** Why, in words fit for a pod's author. */
  readonly unreadable: string;
  /** Whether whoever asked lacks credentials that the pod itself may have: at admission, the fetcher decides then. */
  readonly deferrable: boolean;
}

/** Where an image is judged. After the fetcher there is nobody to leave it to. */
export type Stage = "Admission" | "Fetcher";

export interface EvaluationOptions {
  /** What goes for an image without a rule of the cluster's own: what tenants demand does not vouch for it. */
  readonly unmatched: Unmatched;
  readonly stage: Stage;
}

/** Characters of one sentence: kubectl shows a denial in one line, and several filters share it. */
const MAX_SENTENCE = 600;
const MAX_CLAUSE = 400;

/**
 * Judges an image by rules: every one has to pass. Nothing is read, and nothing but what is given counts, so that the
 * same verdict can be had later, from stored evidence.
 * @param rules of all policies that match, of tenants too
 * @param found what was found for a rule
 */
export async function evaluate(
  rules: readonly Rule[],
  image: JudgedImage,
  found: (rule: Rule) => Found,
  { unmatched, stage }: EvaluationOptions,
): Promise<Verdict> {
  const policies: PolicyVerdict[] = [];
  const consequences: (Consequence | null)[] = [];
  for (const rule of rules) {
    const what = found(rule);
    const verdict = await judged(rule, image, what);
    policies.push(verdict);
    consequences.push(consequence(verdict, rule, mayDefer(rule, what, stage)));
  }
  const covered = rules.some(({ policy }) => policy.startsWith("WasmPolicy/"));
  if (!covered && unmatched !== "Allow") {
    const sentence = `no WasmPolicy is for ${image.registry}/${image.repository}: nobody vouches for it`;
    consequences.push({ kind: unmatched === "Deny" ? "denial" : "warning", sentence });
  }
  const of = (kind: Consequence["kind"]) =>
    consequences.filter(one => one?.kind === kind).map(one => one?.sentence ?? "");
  const denials = of("denial");
  return {
    allowed: denials.length === 0,
    policies,
    denial: denials.length === 0 ? null : cut(denials.join("; "), MAX_SENTENCE),
    warnings: of("warning"),
    audit: of("audit"),
    deferred: of("deferral"),
  };
}

function mayDefer({ onRegistryError }: Rule, found: Found, stage: Stage): boolean {
  if (stage !== "Admission" || !("unreadable" in found)) return false;
  return found.deferrable || onRegistryError === "Defer";
}

interface Consequence {
  readonly kind: "denial" | "warning" | "audit" | "deferral";
  readonly sentence: string;
}

function consequence(
  { outcome, mode, sentence }: PolicyVerdict,
  { onRegistryError }: Rule,
  deferrable: boolean,
): Consequence | null {
  if (sentence === null) return null;
  if (mode === "Audit") return { kind: "audit", sentence };
  if (mode === "Warn") return { kind: "warning", sentence };
  if (outcome !== "Unknown") return { kind: "denial", sentence };
  if (onRegistryError === "Warn") return { kind: "warning", sentence };
  return { kind: deferrable ? "deferral" : "denial", sentence };
}

async function judged(rule: Rule, image: JudgedImage, found: Found): Promise<PolicyVerdict> {
  const { policy, mode } = rule;
  const unfit = referenceProblem(rule, image) ?? moduleProblem(rule, image);
  if (unfit !== null) return { policy, mode, outcome: "Failed", sentence: sentenceOf(policy, unfit), authorities: [] };
  const readable = "unreadable" in found ? NO_EVIDENCE : found;
  const demands = await Promise.all(demandsOf(rule).map(demand => met(demand, image, readable)));
  const authorities = demands.flatMap(({ results }) => results);
  const unmet = demands.filter(({ reached, demand }) => reached < Math.max(1, demand.minimum));
  if (unmet.length === 0) return { policy, mode, outcome: "Passed", sentence: null, authorities };
  if ("unreadable" in found) {
    const sentence = sentenceOf(policy, `its signatures can't be read: ${cut(found.unreadable, MAX_CLAUSE)}`);
    return { policy, mode, outcome: "Unknown", sentence, authorities: [] };
  }
  return {
    policy,
    mode,
    outcome: "Failed",
    sentence: sentenceOf(policy, unmet.map(explained).join("; ")),
    authorities,
  };
}

const NO_EVIDENCE: Evidence = { signatures: [], faults: [] };

function referenceProblem({ requireDigest, allowedTagPattern }: Rule, { byDigest, tag }: JudgedImage): string | null {
  if (byDigest) return null;
  if (requireDigest) return "the image has to be named by its digest, @sha256:…";
  const named = tag ?? "latest";
  if (allowedTagPattern === "" || fitsPattern(named, allowedTagPattern)) return null;
  return `the tag ${named} is not one of ${allowedTagPattern}`;
}

function moduleProblem({ module: { formats, maxBytes } }: Rule, { module }: JudgedImage): string | null {
  if (module === undefined) return null;
  if (formats.length > 0 && !formats.includes(module.layout)) {
    return `the image's layout is ${module.layout}, allowed are ${formats.join(", ")}`;
  }
  if (maxBytes === null || module.bytes <= maxBytes) return null;
  return `the module has ${module.bytes} bytes, ${maxBytes} are allowed`;
}

/** Whether a tag has the literal pieces of a pattern in their order. In linear time: the first place of each is the best. */
function fitsPattern(tag: string, pattern: string): boolean {
  const [first = "", ...rest] = pattern.split("*");
  const last = rest.pop();
  if (last === undefined) return tag === first;
  if (!tag.startsWith(first)) return false;
  let at = first.length;
  for (const piece of rest) {
    const found = tag.indexOf(piece, at);
    if (found === -1) return false;
    at = found + piece.length;
  }
  return tag.length - last.length >= at && tag.endsWith(last);
}

interface Demand {
  readonly predicateType: string | null;
  readonly authorities: readonly Authority[];
  readonly minimum: number;
}

function demandsOf({ authorities, minimum, attestations }: Rule): readonly Demand[] {
  const stated = attestations.map(wanted => ({
    predicateType: wanted.predicateType,
    authorities: authorities.filter(({ name }) => wanted.authorities.includes(name)),
    minimum: wanted.minimum,
  }));
  return [{ predicateType: null, authorities, minimum }, ...stated];
}

interface MetDemand {
  readonly demand: Demand;
  readonly reached: number;
  readonly results: readonly AuthorityVerdict[];
}

async function met(
  demand: Demand,
  { registry, repository, digests }: JudgedImage,
  evidence: Evidence,
): Promise<MetDemand> {
  const { predicateType } = demand;
  const image = { repository: `${registry}/${repository}`, digests, predicateType };
  const results: AuthorityResult[] = [];
  for (const authority of demand.authorities) results.push(await askAuthority(authority, image, evidence));
  return {
    demand,
    reached: distinctSigners(results.map(({ signers }) => signers)),
    results: results.map(result => ({ ...result, predicateType })),
  };
}

function explained({ demand, reached, results }: MetDemand): string {
  const what = demand.predicateType === null ? "signed" : `stated (${cut(demand.predicateType, 80)})`;
  const count = demand.minimum === 1 ? `not ${what}` : `${what} by ${reached} of the ${demand.minimum} needed`;
  const tried = results.map(
    ({ name, failure }) => `${name}: ${failure === null ? "good" : cut(failure.message, MAX_CLAUSE)}`,
  );
  return `${count} (${tried.join(", ")})`;
}

function sentenceOf(policy: string, text: string): string {
  return cut(`${policy}: ${text}`, MAX_SENTENCE);
}

function cut(text: string, length: number): string {
  return text.length > length ? `${text.slice(0, length - 1)}…` : text;
}
