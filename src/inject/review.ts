import type { Decision } from "../admission/decision.ts";
import { readPod } from "../admission/pod-object.ts";
import { type ReviewResponse, reviewResponse } from "../admission/response.ts";
import { type ReviewRequest, readReview } from "../admission/review.ts";
import { ReviewError } from "../admission/review-error.ts";
import type { Pod } from "../kube/pod.ts";
import { InjectError } from "./error.ts";
import type { Decide } from "./injection.ts";
import type { Input } from "./input.ts";
import type { FindNamespace } from "./namespaces.ts";

/** A decision about the request of an AdmissionReview. */
export interface ReviewedPod {
  readonly decision: Decision;
  readonly response: ReviewResponse;
  /** How messages call it: "review <uid>". */
  readonly subject: string;
}

/**
 * Answers one AdmissionReview as the webhook would.
 * @throws InjectError BadObject
 */
export async function answerReview(input: Input, findNamespace: FindNamespace, decide: Decide): Promise<ReviewedPod> {
  const { uid, operation, resource, namespace, pod } = readRequest(input);
  const decision: Decision =
    pod === null
      ? { outcome: "Skipped", reason: "NotAPodCreation", detail: `this is ${operation} of ${resource}` }
      : await decide({ pod, namespace: await findNamespace(namespace), isTemplate: false });
  return { decision, response: reviewResponse(uid, decision), subject: `review ${uid}` };
}

function readRequest({ name, text }: Input): ReviewRequest & { readonly pod: Pod | null } {
  try {
    const request = readReview(text.replace(/^\ufeff/, ""));
    const isCreation = request.operation === "CREATE" && request.resource === "pods";
    return { ...request, pod: isCreation ? readPod(request.object) : null };
  } catch (error) {
    if (!(error instanceof ReviewError)) throw error;
    throw new InjectError("BadObject", `${name}: ${error.message}`, { cause: error });
  }
}
