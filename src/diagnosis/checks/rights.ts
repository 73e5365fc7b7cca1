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
  async run({ cluster, installation: { ownNamespace } }) {
    const user = `system:serviceaccount:${ownNamespace}:${WEBHOOK}`;
    const asked = webhookRights.flatMap(right => right.verbs.map(verb => ({ right, verb })));
    const answers = await Promise.all(
      asked.map(async ({ right, verb }) =>
        (await isAllowed(cluster, user, right, verb, ownNamespace)) ? [] : [rightText(right, verb, ownNamespace)],
      ),
    );
    const lacking = answers.flat();
    return lacking.length === 0 ? [] : [finding("WebhookRightMissing", user, lacking.join(", "))];
  },
};

function rightText({ group, resource, own, name }: WebhookRight, verb: string, ownNamespace: string): string {
  const where = own ? ` in namespace ${ownNamespace}` : "";
  return `${verb} ${resource}${group === "" ? "" : `.${group}`}${name === undefined ? "" : ` ${name}`}${where}`;
}

async function isAllowed(
  cluster: ClusterView,
  user: string,
  { group, resource: whole, own, name }: WebhookRight,
  verb: string,
  ownNamespace: string,
): Promise<boolean> {
  const [resource, subresource] = whole.split("/");
  const resourceAttributes = {
    group,
    resource,
    verb,
    ...(subresource === undefined ? {} : { subresource }),
    ...(own ? { namespace: ownNamespace } : {}),
    ...(name === undefined ? {} : { name }),
  };
  const { status, body, message } = await cluster.send("POST", REVIEWS, {
    apiVersion: "authorization.k8s.io/v1",
    kind: "SubjectAccessReview",
    spec: { user, groups: ["system:serviceaccounts", `system:serviceaccounts:${ownNamespace}`], resourceAttributes },
  });
  if (status === 201) return (body as { readonly status?: { readonly allowed?: boolean } }).status?.allowed === true;
  const code = status === 403 ? "RightMissing" : "Refused";
  throw new DiagnosisError(
    code,
    `the right to create subjectaccessreviews.authorization.k8s.io is missing: ${message}`,
  );
}
