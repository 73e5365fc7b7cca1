import { isDeepStrictEqual } from "node:util";
import { type Side, sides } from "../../admission/entry.ts";
import {
  MATCH_CONDITIONS,
  NAMESPACE_NAME,
  type RegisteredEntry,
  type Requirement,
  registeredEntries,
  registeredTerms,
} from "../../admission/registration.ts";
import { guardsInForce } from "../bypass.ts";
import { NEVER } from "../bypass-mark.ts";
import type { Check } from "../check.ts";
import { type Finding, finding } from "../finding.ts";
import { UNFILTERED_PODS } from "../guards.ts";
import { MUTATING, VALIDATING, WEBHOOK } from "../installation.ts";
import type { RegisteredWebhook, Selector, WebhookConfiguration } from "../webhook-configuration.ts";

export const KINDS: Readonly<Record<Side, { readonly path: string; readonly kind: string }>> = {
  mutate: { path: MUTATING, kind: "MutatingWebhookConfiguration/wasmount" },
  validate: { path: VALIDATING, kind: "ValidatingWebhookConfiguration/wasmount" },
};

/** Are all entries there, and as they ship? */
export const registrationCheck: Check = {
  name: "the registration",
  async run({ cluster, installation: { ownNamespace, config } }) {
    const found: Finding[] = [];
    for (const side of sides) {
      const { path, kind } = KINDS[side];
      const configuration = await cluster.get<WebhookConfiguration>(path);
      if (configuration === null) {
        found.push(finding("RegistrationMissing", kind, "it is not there"));
        continue;
      }
      found.push(...sideFindings(side, configuration, ownNamespace, config.limits.reviewSeconds));
    }
    return found;
  },
};

function sideFindings(
  side: Side,
  { webhooks = [] }: WebhookConfiguration,
  ownNamespace: string,
  reviewSeconds: number,
): Finding[] {
  const { kind } = KINDS[side];
  const expected = registeredEntries(ownNamespace);
  const strangers = webhooks.filter(({ name }) => !expected.some(entry => entry.name === name));
  return [
    ...expected.flatMap(entry => {
      const webhook = webhooks.find(({ name }) => name === entry.name);
      const where = `${kind}, entry ${entry.name}`;
      if (webhook === undefined) return [finding("EntryMissing", where)];
      return entryFindings(side, entry, webhook, { where, ownNamespace, reviewSeconds });
    }),
    ...strangers.map(({ name }) => finding("EntryUnknown", `${kind}, entry ${name}`)),
  ];
}

function entryFindings(
  side: Side,
  entry: RegisteredEntry,
  webhook: RegisteredWebhook,
  at: { readonly where: string; readonly ownNamespace: string; readonly reviewSeconds: number },
): Finding[] {
  const { where } = at;
  const narrowed = [
    ...extra("namespaceSelector", webhook.namespaceSelector, entry.namespace),
    ...extra("objectSelector", webhook.objectSelector, entry.object),
    ...extraConditions(webhook),
  ];
  const { timeoutSeconds = 10 } = webhook;
  const short = `timeoutSeconds is ${timeoutSeconds}, limits.reviewSeconds ${at.reviewSeconds}`;
  return [
    ...changes(side, entry, webhook, at.ownNamespace).map(change => finding("EntryChanged", where, change)),
    ...narrowed.map(text => finding("SelectorNarrowed", where, text)),
    ...(timeoutSeconds > at.reviewSeconds ? [] : [finding("TimeoutTooShort", where, short)]),
  ];
}

/** What of an entry is not as it ships. Each in words. */
function changes(side: Side, entry: RegisteredEntry, webhook: RegisteredWebhook, ownNamespace: string): string[] {
  const actual = webhook as RegisteredWebhook & Readonly<Record<string, unknown>>;
  const terms = Object.entries(registeredTerms(side)).flatMap(([member, value]) =>
    isDeepStrictEqual(actual[member], value)
      ? []
      : [`${member} is ${JSON.stringify(actual[member])}, expected is ${JSON.stringify(value)}`],
  );
  const conditions = Object.entries(MATCH_CONDITIONS).flatMap(([name, expression]) => {
    const found = webhook.matchConditions?.find(one => one.name === name);
    return found?.expression === expression ? [] : [`match condition ${name} is ${found ? "another" : "missing"}`];
  });
  return [
    ...address(side, entry, webhook, ownNamespace),
    ...terms,
    ...conditions,
    ...missing("namespaceSelector", webhook.namespaceSelector, entry.namespace),
    ...missing("objectSelector", webhook.objectSelector, entry.object),
  ];
}

function address(
  side: Side,
  entry: RegisteredEntry,
  { clientConfig }: RegisteredWebhook,
  ownNamespace: string,
): string[] {
  const expected = `/${side}/${entry.entry}`;
  const { service, url } = clientConfig;
  // A webhook outside of the cluster is called by URL.
  const path = service?.path ?? (url === undefined ? undefined : new URL(url).pathname);
  return [
    ...(path === expected ? [] : [`its path is ${path}, expected is ${expected}`]),
    ...(service === undefined || (service.name === WEBHOOK && service.namespace === ownNamespace)
      ? []
      : [`it calls Service ${service.namespace}/${service.name}, expected is ${ownNamespace}/${WEBHOOK}`]),
  ];
}

function missing(selector: string, actual: Selector | undefined, expected: readonly Requirement[]): string[] {
  const there = actual?.matchExpressions ?? [];
  return expected
    .filter(one => !there.some(other => covers(other, one)))
    .map(one => `${selector} lacks ${requirementText(one)}`);
}

function extra(selector: string, actual: Selector | undefined, expected: readonly Requirement[]): string[] {
  const labels = Object.entries(actual?.matchLabels ?? {}).map(([key, value]) => `${key}=${value}`);
  const requirements = (actual?.matchExpressions ?? [])
    .filter(one => !expected.some(other => covers(one, other)))
    .map(requirementText);
  return [...requirements, ...labels].map(text => `${selector} has ${text}`);
}

function extraConditions({ matchConditions = [] }: RegisteredWebhook): string[] {
  return matchConditions
    .filter(({ name }) => name !== NEVER.name && MATCH_CONDITIONS[name] === undefined)
    .map(({ name, expression }) => `match condition ${name}: ${expression}`);
}

/** Whether a requirement is the one that ships; the operator may leave more namespaces out by name. */
function covers(actual: Requirement, shipped: Requirement): boolean {
  const [{ values: has = [] }, { values: wanted = [] }] = [actual, shipped];
  if (actual.key !== shipped.key || actual.operator !== shipped.operator) return false;
  const more = actual.key === NAMESPACE_NAME && actual.operator === "NotIn";
  return wanted.every(value => has.includes(value)) && (more || has.length === wanted.length);
}

function requirementText({ key, operator, values = [] }: Requirement): string {
  return `${key} ${operator}${values.length > 0 ? ` [${values.join(", ")}]` : ""}`;
}

/** What becomes of pods while the webhook is away? */
export const failurePolicyCheck: Check = {
  name: "the failure policy",
  async run({ cluster }) {
    const guarded = (await guardsInForce(cluster)).some(({ name }) => name === UNFILTERED_PODS);
    const found: Finding[] = [];
    for (const { path, kind } of Object.values(KINDS)) {
      const { webhooks = [] } = (await cluster.get<WebhookConfiguration>(path)) ?? {};
      const ignoring = webhooks.filter(({ failurePolicy }) => failurePolicy === "Ignore").map(({ name }) => name);
      if (ignoring.length === 0) continue;
      const code = guarded || kind.startsWith("Validating") ? "FailuresIgnored" : "UnfilteredPodsPossible";
      found.push(finding(code, kind, `entries ${ignoring.join(", ")}`));
    }
    return found;
  },
};
