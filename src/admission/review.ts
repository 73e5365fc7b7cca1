import { ReviewError } from "./review-error.ts";
import { isObject, string } from "./review-member.ts";

/** The request of an AdmissionReview (admission.k8s.io/v1), as far as we read it. */
export interface ReviewRequest {
  readonly uid: string;
  readonly operation: string;
  /** The resource that was asked for, "pods" or "pods/<subresource>". */
  readonly resource: string;
  readonly namespace: string;
  readonly dryRun: boolean;
  readonly object: unknown;
}

/**
 * Reads an AdmissionReview.
 * @throws ReviewError that names the member which is missing or wrong.
 */
export function readReview(body: string): ReviewRequest {
  let review: unknown;
  try {
    review = JSON.parse(body);
  } catch (error) {
    throw new ReviewError("NotJson", "the body is not JSON", { cause: error });
  }
  if (!isObject(review) || review["kind"] !== "AdmissionReview" || review["apiVersion"] !== "admission.k8s.io/v1") {
    throw new ReviewError("NotAReview", "the body is not an AdmissionReview of admission.k8s.io/v1");
  }
  const request = review["request"];
  if (!isObject(request)) throw new ReviewError("BadRequest", "the review has no request");
  const uid = request["uid"];
  if (typeof uid !== "string" || uid === "") throw new ReviewError("BadRequest", "the request has no uid");
  const resource = isObject(request["resource"]) ? request["resource"]["resource"] : undefined;
  const subresource = request["subResource"];
  return {
    uid,
    operation: string(request["operation"], "operation"),
    resource: subresource ? `${resource}/${subresource}` : string(resource, "resource.resource"),
    namespace: string(request["namespace"], "namespace"),
    dryRun: request["dryRun"] === true,
    object: request["object"],
  };
}
