import { randomUUID } from "node:crypto";
import { request } from "node:https";
import { applyPatch } from "rfc6902";
import type { ReviewResponse } from "../../src/admission/response.ts";
import type { Pod } from "../../src/kube/pod.ts";
import type { Operation } from "../../src/patch/operation.ts";

/**
 * Sends the creation of a pod to a webhook, as an API server does (admission.k8s.io/v1).
 * @param url any of the webhook's
 * @param servername whose certificate it shows, where that is not the URL's host
 */
export async function reviewPod(
  url: string,
  ca: string,
  pod: Pod,
  namespace: string,
  servername?: string,
): Promise<ReviewResponse["response"]> {
  const body = JSON.stringify({
    apiVersion: "admission.k8s.io/v1",
    kind: "AdmissionReview",
    request: {
      uid: randomUUID(),
      kind: { group: "", version: "v1", kind: "Pod" },
      resource: { group: "", version: "v1", resource: "pods" },
      operation: "CREATE",
      namespace,
      name: pod.metadata.name,
      userInfo: { username: "demo" },
      object: pod,
      oldObject: null,
      dryRun: false,
    },
  });
  const text = await new Promise<string>((resolve, reject) => {
    const outgoing = request(
      new URL("/mutate/namespace", url),
      {
        method: "POST",
        ca,
        agent: false,
        headers: { "content-type": "application/json" },
        ...(servername !== undefined && { servername }),
      },
      response => {
        let received = "";
        response.setEncoding("utf8").on("data", chunk => {
          received += chunk;
        });
        response.on("end", () => {
          if (response.statusCode === 200) resolve(received);
          else reject(new Error(`the webhook answered ${response.statusCode}: ${received}`));
        });
      },
    );
    outgoing.on("error", reject);
    outgoing.end(body);
  });
  return (JSON.parse(text) as ReviewResponse).response;
}

/** The operations of an answer. */
export function operationsOf({ patch }: ReviewResponse["response"]): Operation[] {
  return patch === undefined ? [] : JSON.parse(Buffer.from(patch, "base64").toString());
}

/** A pod with an answer's patch applied, as the API server applies it. @throws where an operation does not apply. */
export function patchedPod(pod: Pod, response: ReviewResponse["response"]): Pod {
  const patched = structuredClone(pod);
  for (const failure of applyPatch(patched, operationsOf(response) as never)) if (failure) throw failure;
  return patched;
}
