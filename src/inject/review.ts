import type { Decision } from "../admission/decision.ts";
import { readPod } from "../admission/pod-object.ts";
import { type ReviewResponse, reviewResponse } from "../admission/response.ts";
import { readReview } from "../admission/review.ts";
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
 * @throws ReviewError
 */
export async function answerReview(
  { text }: Input,
  findNamespace: FindNamespace,
  decide: Decide,
): Promise<ReviewedPod> {
  const { uid, operation, resource, namespace, object } = readReview(text.replace(/^\ufeff/, ""));
  const decision: Decision =
    operation === "CREATE" && resource === "pods"
      ? await decide({ pod: readPod(object), namespace: await findNamespace(namespace), isTemplate: false })
      : { outcome: "Skipped", reason: "NotAPodCreation", detail: `this is ${operation} of ${resource}` };
  return { decision, response: reviewResponse(uid, decision), subject: `review ${uid}` };
}
