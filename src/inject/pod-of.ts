import { readPod } from "../admission/pod-object.ts";
import { ReviewError } from "../admission/review-error.ts";
import { isObject } from "../admission/review-member.ts";
import type { Pod } from "../kube/pod.ts";
import { type Operation, pointer } from "../patch/operation.ts";
import { InjectError } from "./error.ts";
import type { Workload } from "./workload.ts";

/** The pod of a workload, as a controller would create it. */
export interface WorkloadPod {
  readonly pod: Pod;
  /** Operations on the pod as operations on the workload's object. */
  onObject(operations: readonly Operation[]): Operation[];
}

/**
 * Reads a workload's pod or template.
 * @throws InjectError BadObject, naming the member
 */
export function podOf(workload: Workload): WorkloadPod {
  const found = templateOf(workload);
  // The API server takes a template without metadata; operations on its labels need it to be there.
  const bare = found["metadata"] === undefined || found["metadata"] === null;
  return {
    pod: readAs(bare ? { ...found, metadata: {} } : found, workload),
    onObject(operations) {
      if (operations.length === 0) return [];
      const moved = operations.map(operation => ({
        ...operation,
        path: `${pointer(...workload.podPath)}${operation.path}`,
      }));
      if (!bare) return moved;
      return [{ op: "add", path: pointer(...workload.podPath, "metadata"), value: {} }, ...moved];
    },
  };
}

function templateOf({ value, podPath, place, kind }: Workload): Record<string, unknown> {
  let found = value;
  for (const [depth, member] of podPath.entries()) {
    const next = found[member];
    if (!isObject(next)) {
      const path = podPath.slice(0, depth + 1).join(".");
      throw new InjectError("BadObject", `${place}: ${path} of a ${kind} must be an object`);
    }
    found = next;
  }
  return found;
}

function readAs(object: unknown, { place, kind, podPath }: Workload): Pod {
  try {
    return readPod(object);
  } catch (error) {
    if (!(error instanceof ReviewError)) throw error;
    const prefix = podPath.map(member => `${member}.`).join("");
    const message = error.message.replace(/^the request's object\./, prefix);
    throw new InjectError("BadObject", `${place}: the ${kind}'s ${message}`, { cause: error });
  }
}
