import type { Requirement } from "../admission/registration.ts";
import type { KubeObject } from "./kube-object.ts";

/** A MutatingWebhookConfiguration or a ValidatingWebhookConfiguration (admissionregistration.k8s.io/v1). */
export interface WebhookConfiguration extends KubeObject {
  readonly webhooks?: readonly RegisteredWebhook[];
}

export interface RegisteredWebhook {
  readonly name: string;
  readonly clientConfig: {
    readonly url?: string;
    readonly service?: {
      readonly namespace: string;
      readonly name: string;
      readonly path?: string;
      readonly port?: number;
    };
    /** Base64 of PEM. */
    readonly caBundle?: string;
  };
  readonly rules?: readonly WebhookRule[];
  readonly failurePolicy?: "Fail" | "Ignore";
  readonly reinvocationPolicy?: "Never" | "IfNeeded";
  readonly timeoutSeconds?: number;
  readonly matchConditions?: readonly MatchCondition[];
  readonly namespaceSelector?: Selector;
  readonly objectSelector?: Selector;
}

export interface WebhookRule {
  readonly apiGroups?: readonly string[];
  readonly apiVersions?: readonly string[];
  readonly operations?: readonly string[];
  readonly resources?: readonly string[];
  readonly scope?: string;
}

export interface MatchCondition {
  readonly name: string;
  /** CEL. */
  readonly expression: string;
}

export interface Selector {
  readonly matchExpressions?: readonly Requirement[];
  readonly matchLabels?: Readonly<Record<string, string>>;
}
