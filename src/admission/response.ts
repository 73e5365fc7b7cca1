import { reasons } from "../decision/reason.ts";
import { printable } from "../printable.ts";
import { type Decision, isSurprise } from "./decision.ts";

/** An AdmissionReview (admission.k8s.io/v1) that answers a request. */
export interface ReviewResponse {
  readonly apiVersion: "admission.k8s.io/v1";
  readonly kind: "AdmissionReview";
  readonly response: {
    readonly uid: string;
    readonly allowed: boolean;
    readonly patchType?: "JSONPatch";
    /** Base64 of the JSON Patch. */
    readonly patch?: string;
    readonly status?: { readonly code: number; readonly reason: string; readonly message: string };
    readonly warnings?: readonly string[];
    readonly auditAnnotations: Readonly<Record<string, string>>;
  };
}

/** The answer that carries a decision back to the API server. */
export function reviewResponse(uid: string, decision: Decision): ReviewResponse {
  return response(uid, decision, patchOf(decision));
}

/**
 * The same as JSON. The patch goes in as it is: Base64 has nothing to escape, and looking for it would take as long as all
 * the rest.
 */
export function responseText(uid: string, decision: Decision): string {
  const patch = patchOf(decision);
  if (patch === null) return JSON.stringify(response(uid, decision, null));
  const text = JSON.stringify(response(uid, decision, ""));
  return `${text.slice(0, -END.length)}${patch}${END}`;
}

/** What comes after the patch, the last member. */
const END = '"}}';

function patchOf(decision: Decision): string | null {
  if (decision.outcome !== "Injected" || decision.patch.length === 0) return null;
  return Buffer.from(JSON.stringify(decision.patch)).toString("base64");
}

function response(uid: string, decision: Decision, patch: string | null): ReviewResponse {
  const auditAnnotations = audit(decision);
  const answer = (rest: object) =>
    ({
      apiVersion: "admission.k8s.io/v1",
      kind: "AdmissionReview",
      response: { uid, allowed: true, auditAnnotations, ...rest },
    }) as const;
  switch (decision.outcome) {
    case "Skipped":
      return answer(isSurprise(decision) ? { warnings: [warning(decision)] } : {});
    case "Deferred":
    case "Verified":
      return answer({});
    case "Denied":
      return answer({ allowed: false, status: { code: 403, reason: "Forbidden", message: sentence(decision) } });
    case "Injected":
      return answer({
        ...(decision.warnings.length > 0 && { warnings: decision.warnings }),
        ...(patch !== null && { patchType: "JSONPatch", patch }),
      });
  }
}

/** What the API server puts into its audit log, each under the name of the webhook entry. */
function audit(decision: Decision): Readonly<Record<string, string>> {
  const { outcome, reason } = decision;
  const audited = { decision: outcome, reason };
  if (outcome === "Verified") return { ...audited, plan: decision.planHash };
  if (outcome !== "Injected") return audited;
  const filters = decision.plan.filters.map(({ name, repository, digest }) => `${name}=${repository}@${digest}`);
  return {
    ...audited,
    plan: decision.planHash,
    filters: filters.join(" "),
    policy: decision.policies.join(" ") || "none",
  };
}

/** A decision in words: the code, the reason's sentence, and what was found, fit for a terminal. */
export function sentence(decision: Pick<Decision, "reason" | "detail">): string {
  return `wasmount: ${said(decision)}`;
}

/** The same for a pod that is skipped: what a reason's sentence says of it does not tell what became of it. */
export function warning(decision: Pick<Decision, "reason" | "detail">): string {
  return `wasmount: no filters for this pod: ${said(decision)}`;
}

function said({ reason, detail }: Pick<Decision, "reason" | "detail">): string {
  return `${reason}: ${reasons[reason].sentence}${detail === "" ? "" : ` ${asSentence(printable(detail))}`}`;
}

function asSentence(text: string): string {
  const capital = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.?]$/.test(capital) ? capital : `${capital}.`;
}
