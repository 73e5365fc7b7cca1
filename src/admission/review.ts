import { CodedError } from "../error.ts";
import type { Pod } from "../kube/pod.ts";

export type ReviewErrorCode =
  /** The body is not JSON. */
  | "NotJson"
  /** The body is JSON, but not an AdmissionReview of a version we speak. */
  | "NotAReview"
  /** The request lacks a member, or has one of another type. */
  | "BadRequest";

export class ReviewError extends CodedError<ReviewErrorCode> {}

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

/**
 * Reads the object of a review as a pod. The API server has validated it, but nothing proves that the API server
 * called: each member that admission reads is checked for its type.
 * @throws ReviewError BadRequest, naming the member.
 */
export function readPod(object: unknown): Pod {
  if (!isObject(object)) throw wrong("object", "a pod");
  const metadata = object["metadata"];
  const spec = object["spec"];
  if (!isObject(metadata)) throw wrong("object.metadata", "an object");
  if (!isObject(spec)) throw wrong("object.spec", "an object");
  for (const map of ["labels", "annotations"] as const) readStringMap(metadata[map], `object.metadata.${map}`);
  for (const [index, owner] of optionalList(metadata["ownerReferences"], "object.metadata.ownerReferences").entries()) {
    if (!isObject(owner)) throw wrong(`object.metadata.ownerReferences[${index}]`, "an object");
    string(owner["uid"], `object.metadata.ownerReferences[${index}].uid`);
  }
  if (!Array.isArray(spec["containers"])) throw wrong("object.spec.containers", "a list");
  for (const list of ["containers", "initContainers"] as const) readContainers(spec[list], `object.spec.${list}`);
  readUser(spec["securityContext"], "object.spec.securityContext");
  for (const volume of optionalList(spec["volumes"], "object.spec.volumes")) {
    if (!isObject(volume) || typeof volume["name"] !== "string") throw wrong("object.spec.volumes", "named volumes");
  }
  return { ...object, metadata, spec } as unknown as Pod;
}

function readContainers(value: unknown, path: string): void {
  for (const [index, container] of optionalList(value, path).entries()) {
    const place = `${path}[${index}]`;
    if (!isObject(container) || typeof container["name"] !== "string") throw wrong(place, "a named container");
    if (container["image"] !== undefined) string(container["image"], `${place}.image`);
    for (const words of ["command", "args"] as const) {
      for (const word of optionalList(container[words], `${place}.${words}`)) string(word, `${place}.${words}`);
    }
    if (container["restartPolicy"] !== undefined) string(container["restartPolicy"], `${place}.restartPolicy`);
    readUser(container["securityContext"], `${place}.securityContext`);
    readMounts(container["volumeMounts"], `${place}.volumeMounts`);
  }
}

function readMounts(value: unknown, path: string): void {
  for (const [index, mount] of optionalList(value, path).entries()) {
    if (!isObject(mount)) throw wrong(`${path}[${index}]`, "an object");
    string(mount["name"], `${path}[${index}].name`);
    string(mount["mountPath"], `${path}[${index}].mountPath`);
    for (const name of ["subPath", "subPathExpr"] as const) {
      if (mount[name] !== undefined) string(mount[name], `${path}[${index}].${name}`);
    }
  }
}

function readUser(value: unknown, path: string): void {
  if (value === undefined || value === null) return;
  if (!isObject(value)) throw wrong(path, "an object");
  for (const id of ["runAsUser", "runAsGroup"] as const) {
    if (value[id] !== undefined && !Number.isSafeInteger(value[id])) throw wrong(`${path}.${id}`, "an integer");
  }
}

function readStringMap(value: unknown, path: string): void {
  if (value === undefined || value === null) return;
  if (!isObject(value) || Object.values(value).some(member => typeof member !== "string")) {
    throw wrong(path, "a map of strings");
  }
}

function optionalList(value: unknown, path: string): unknown[] {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) throw wrong(path, "a list");
  return value;
}

function string(value: unknown, path: string): string {
  if (typeof value !== "string") throw wrong(path, "a string");
  return value;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function wrong(path: string, expected: string): ReviewError {
  return new ReviewError("BadRequest", `the request's ${path} must be ${expected}`);
}
