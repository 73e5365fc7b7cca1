import type { Pod } from "../kube/pod.ts";
import { isObject, string, wrong } from "./review-member.ts";

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
  readOwners(metadata["ownerReferences"], "object.metadata.ownerReferences");
  if (!Array.isArray(spec["containers"])) throw wrong("object.spec.containers", "a list");
  for (const list of ["containers", "initContainers"] as const) readContainers(spec[list], `object.spec.${list}`);
  readUser(spec["securityContext"], "object.spec.securityContext");
  readPlacement(spec);
  readPullSecrets(spec["imagePullSecrets"], "object.spec.imagePullSecrets");
  for (const volume of optionalList(spec["volumes"], "object.spec.volumes")) {
    if (!isObject(volume) || typeof volume["name"] !== "string") throw wrong("object.spec.volumes", "named volumes");
  }
  return { ...object, metadata, spec } as unknown as Pod;
}

function readOwners(value: unknown, path: string): void {
  for (const [index, owner] of optionalList(value, path).entries()) {
    if (!isObject(owner)) throw wrong(`${path}[${index}]`, "an object");
    for (const member of ["apiVersion", "kind", "name", "uid"] as const) {
      if (owner[member] !== undefined || member === "uid") string(owner[member], `${path}[${index}].${member}`);
    }
  }
}

function readPullSecrets(value: unknown, path: string): void {
  for (const [index, secret] of optionalList(value, path).entries()) {
    if (!isObject(secret)) throw wrong(`${path}[${index}]`, "an object");
    if (secret["name"] !== undefined) string(secret["name"], `${path}[${index}].name`);
  }
}

function readPlacement(spec: Record<string, unknown>): void {
  for (const flag of ["hostNetwork", "hostPID", "shareProcessNamespace"] as const) {
    const value = spec[flag];
    if (value !== undefined && value !== null && typeof value !== "boolean") {
      throw wrong(`object.spec.${flag}`, "true or false");
    }
  }
  readStringMap(spec["nodeSelector"], "object.spec.nodeSelector");
  const os = spec["os"];
  if (os === undefined || os === null) return;
  if (!isObject(os)) throw wrong("object.spec.os", "an object");
  if (os["name"] !== undefined) string(os["name"], "object.spec.os.name");
}

function readContainers(value: unknown, path: string): void {
  for (const [index, container] of optionalList(value, path).entries()) {
    const place = `${path}[${index}]`;
    if (!isObject(container) || typeof container["name"] !== "string") throw wrong(place, "a named container");
    if (container["image"] !== undefined) string(container["image"], `${place}.image`);
    for (const words of ["command", "args"] as const) {
      for (const word of optionalList(container[words], `${place}.${words}`)) string(word, `${place}.${words}`);
    }
    readEnvironment(container["env"], `${place}.env`);
    if (container["restartPolicy"] !== undefined) string(container["restartPolicy"], `${place}.restartPolicy`);
    readUser(container["securityContext"], `${place}.securityContext`);
    readMounts(container["volumeMounts"], `${place}.volumeMounts`);
  }
}

function readEnvironment(value: unknown, path: string): void {
  for (const [index, variable] of optionalList(value, path).entries()) {
    if (!isObject(variable)) throw wrong(`${path}[${index}]`, "an object");
    string(variable["name"], `${path}[${index}].name`);
    if (variable["value"] !== undefined && variable["value"] !== null)
      string(variable["value"], `${path}[${index}].value`);
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
