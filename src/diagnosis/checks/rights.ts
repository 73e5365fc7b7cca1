import type { Check } from "../check.ts";
import type { ClusterView } from "../cluster-view.ts";
import { DiagnosisError } from "../error.ts";
import { finding } from "../finding.ts";
import { WEBHOOK } from "../installation.ts";
import { type WebhookRight, webhookRights } from "../webhook-rights.ts";

const REVIEWS = "/apis/authorization.k8s.io/v1/subjectaccessreviews";

/** May the webhook do what it has to? The API server itself is asked, whatever grants it. */
export const rightsCheck: Check = {
  name: "the webhook's rights",
  async run({ cluster, installation: { ownNamespace, config } }) {
    const account: Account = { namespace: ownNamespace, user: `system:serviceaccount:${ownNamespace}:${WEBHOOK}` };
    const asked = webhookRights
      .filter(({ needed }) => needed === undefined || needed(config))
      .flatMap(right =>
        right.verbs.map(verb => ({
          ...right,
          verb,
          name: right.name?.(config),
          namespace: right.own ? ownNamespace : right.inside?.(config),
        })),
      );
    const allowed = await Promise.all(asked.map(right => isAllowed(cluster, account, right)));
    const lacking = asked.filter((_, index) => !allowed[index]).map(right => rightText(right));
    return lacking.length === 0 ? [] : [finding("WebhookRightMissing", account.user, lacking.join(", "))];
  },
};

interface Account {
  readonly namespace: string;
  readonly user: string;
}

interface AskedRight extends Pick<WebhookRight, "group" | "resource"> {
  /** Undefined for the whole cluster. */
  readonly namespace: string | undefined;
  readonly verb: string;
  readonly name: string | undefined;
}

function rightText({ group, resource, verb, namespace, name }: AskedRight): string {
  const where = namespace === undefined ? "" : ` in namespace ${namespace}`;
  return `${verb} ${resource}${group === "" ? "" : `.${group}`}${name === undefined ? "" : ` ${name}`}${where}`;
}

async function isAllowed(cluster: ClusterView, { namespace, user }: Account, right: AskedRight): Promise<boolean> {
  const { group, verb, name } = right;
  const [resource, subresource] = right.resource.split("/");
  const resourceAttributes = { group, resource, verb, subresource, name, namespace: right.namespace };
  const { status, body, message } = await cluster.send("POST", REVIEWS, {
    apiVersion: "authorization.k8s.io/v1",
    kind: "SubjectAccessReview",
    spec: { user, groups: ["system:serviceaccounts", `system:serviceaccounts:${namespace}`], resourceAttributes },
  });
  if (status === 201) return (body as { readonly status?: { readonly allowed?: boolean } }).status?.allowed === true;
  const code = status === 403 ? "RightMissing" : "Refused";
  throw new DiagnosisError(
    code,
    `the right to create subjectaccessreviews.authorization.k8s.io is missing: ${message}`,
  );
}
