import { PREFIX } from "../admission/key.ts";
import type { GuardBinding } from "./guards.ts";
import type { KubeObject } from "./kube-object.ts";
import type { MatchCondition, WebhookConfiguration } from "./webhook-configuration.ts";

/** The annotation of an object that a bypass has changed: who did it, when and why, and what was there before. */
export const BYPASS = `${PREFIX}bypass`;

/**
 * A match condition that is never met: the API server asks no webhook that has it. Unlike `failurePolicy: Ignore`, it
 * also helps against a webhook that answers, and answers wrong or late.
 */
export const NEVER: MatchCondition = { name: `${PREFIX}bypassed`, expression: "false" };

/** What a binding does while its policy refuses nothing. */
const SOFT = ["Warn", "Audit"];

/** Who bypassed an object, and why. */
export interface BypassMark {
  /** RFC 3339. */
  readonly since: string;
  /** The user's name, as the API server knows it. */
  readonly by: string;
  readonly reason: string;
}

interface StoredMark extends BypassMark {
  readonly version: 1;
  readonly original?: { readonly validationActions: readonly string[] };
}

const ACTIONS: ReadonlySet<unknown> = new Set(["Deny", "Warn", "Audit"]);

/** The mark of an object, null where it has none; one that can't be read was changed by hand, and is still one. */
export function markOf({ metadata }: KubeObject): BypassMark | null {
  return storedMark(metadata.annotations?.[BYPASS]);
}

function storedMark(text: string | undefined): StoredMark | null {
  if (text === undefined) return null;
  try {
    const { since, by, reason, original } = JSON.parse(text) as StoredMark;
    const actions = original?.validationActions;
    const whole = Array.isArray(actions) && actions.length > 0 && actions.every(action => ACTIONS.has(action));
    return {
      version: 1,
      since: String(since),
      by: String(by),
      reason: String(reason),
      ...(whole ? { original: { validationActions: actions } } : {}),
    };
  } catch {
    return { version: 1, since: "unknown", by: "unknown", reason: "its record can't be read" };
  }
}

/** How many of a registration's entries are bypassed, and of how many. */
export function bypassedEntries({ webhooks = [] }: WebhookConfiguration): {
  readonly off: number;
  readonly all: number;
} {
  return {
    off: webhooks.filter(({ matchConditions = [] }) => matchConditions.some(isNever)).length,
    all: webhooks.length,
  };
}

/**
 * The registration with all its entries bypassed, else untouched: certificates may be rotated meanwhile. An earlier mark
 * stays, so that the first one who did it is told.
 */
export function bypassRegistration(found: WebhookConfiguration, mark: BypassMark): WebhookConfiguration {
  const webhooks = (found.webhooks ?? []).map(webhook => {
    const { matchConditions = [] } = webhook;
    return matchConditions.some(isNever) ? webhook : { ...webhook, matchConditions: [...matchConditions, NEVER] };
  });
  return { ...found, metadata: marked(found, { version: 1, ...mark }), webhooks };
}

/** The registration as it was. */
export function restoreRegistration(found: WebhookConfiguration): WebhookConfiguration {
  const webhooks = (found.webhooks ?? []).map(webhook => {
    if (!webhook.matchConditions?.some(isNever)) return webhook;
    return { ...webhook, matchConditions: webhook.matchConditions.filter(condition => !isNever(condition)) };
  });
  return { ...found, metadata: unmarked(found), webhooks };
}

/** The binding of a guard that warns and no longer refuses; what it did before is in its mark. */
export function softenBinding(found: GuardBinding, mark: BypassMark): GuardBinding {
  const { validationActions = [] } = found.spec;
  if (!validationActions.includes("Deny")) return found;
  const metadata = marked(
    { ...found, metadata: unmarked(found) },
    { version: 1, ...mark, original: { validationActions } },
  );
  return { ...found, metadata, spec: { ...found.spec, validationActions: SOFT } };
}

/** The binding as it was. Where its record can't be read it refuses, which is how it ships. */
export function restoreBinding(found: GuardBinding): GuardBinding {
  const mark = storedMark(found.metadata.annotations?.[BYPASS]);
  if (mark === null) return found;
  const validationActions = mark.original?.validationActions ?? ["Deny"];
  return { ...found, metadata: unmarked(found), spec: { ...found.spec, validationActions } };
}

function isNever({ name }: MatchCondition): boolean {
  return name === NEVER.name;
}

function marked({ metadata }: KubeObject, mark: StoredMark): KubeObject["metadata"] {
  if (metadata.annotations?.[BYPASS] !== undefined) return metadata;
  return { ...metadata, annotations: { ...metadata.annotations, [BYPASS]: JSON.stringify(mark) } };
}

function unmarked({ metadata }: KubeObject): KubeObject["metadata"] {
  const { [BYPASS]: mark, ...annotations } = metadata.annotations ?? {};
  return mark === undefined ? metadata : { ...metadata, annotations };
}
