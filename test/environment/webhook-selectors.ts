import { shipped } from "./installation.ts";
import type { Manifest } from "./stage.ts";

type Labels = Readonly<Record<string, string>>;

/** What the API server compares labels with (meta/v1 LabelSelector), as far as the registration uses it. */
export interface Expression {
  readonly key: string;
  readonly operator: string;
  readonly values?: readonly string[];
}

interface Entry {
  readonly namespace: readonly Expression[];
  readonly object: readonly Expression[];
}

/** The selectors of the validating webhook's entries, as they ship. */
export async function validatingEntries(): Promise<readonly Entry[]> {
  const [registration] = await shipped("ValidatingWebhookConfiguration");
  return registration.webhooks.map(({ namespaceSelector, objectSelector }: Manifest) => ({
    namespace: namespaceSelector.matchExpressions,
    object: objectSelector?.matchExpressions ?? [],
  }));
}

/** Whether the API server asks any of the entries about a pod. */
export function isAsked(entries: readonly Entry[], namespace: Labels, pod: Labels): boolean {
  return entries.some(
    entry =>
      entry.namespace.every(expression => matches(expression, namespace)) &&
      entry.object.every(expression => matches(expression, pod)),
  );
}

function matches({ key, operator, values = [] }: Expression, labels: Labels): boolean {
  const value = labels[key];
  switch (operator) {
    case "Exists":
      return value !== undefined;
    case "DoesNotExist":
      return value === undefined;
    case "In":
      return value !== undefined && values.includes(value);
    case "NotIn":
      return value === undefined || !values.includes(value);
    default:
      throw new Error(`${operator} is no operator of label selectors`);
  }
}
