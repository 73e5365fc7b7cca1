import { INJECT, PREFIX } from "../../admission/key.ts";
import { FETCHER_NAME } from "../../dataplanes/data-plane.ts";
import type { Check } from "../check.ts";
import { type Finding, finding } from "../finding.ts";
import { UNFILTERED_PODS } from "../guards.ts";
import { rightOf } from "../right.ts";
import type { StoredPod } from "../stored-pod.ts";

/** The digest of nothing: no registry is asked for it, since no pod is started. */
const MODULE =
  "registry.example/wasmount-doctor@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/** Does a pod that asks for a filter get it? Tried on a dry run: nothing is created. */
export const trialCheck: Check = {
  name: "a pod on trial",
  async run({ cluster, namespace }) {
    const path = `/api/v1/namespaces/${namespace}/pods`;
    const where = `namespace ${namespace}`;
    const { status, body, message } = await cluster.send("POST", `${path}?dryRun=All`, trialPod());
    if (status === 201) {
      const [first] = (body as StoredPod).spec.initContainers ?? [];
      if (first?.name === FETCHER_NAME) return [];
      return [finding("NotInjected", where, "the pod on trial was let in without a fetcher")];
    }
    return refusal(where, status, message, rightOf("POST", path));
  },
};

function refusal(where: string, status: number, message: string, right: string): readonly Finding[] {
  if (/failed calling webhook "[a-z-]+\.wasmount\.dev"/.test(message)) {
    return [finding("WebhookUnreachable", where, message)];
  }
  // The webhook answered, and an operator's policies have nothing for a module that there is not.
  if (/ denied the request: wasmount: PolicyDenied: /.test(message)) return [];
  if (message.includes(`ValidatingAdmissionPolicy '${UNFILTERED_PODS}'`)) {
    return [finding("NotInjected", where, message)];
  }
  if (status === 403 && / cannot create resource "pods"/.test(message)) {
    return [finding("RightMissing", where, `${right}: ${message}`)];
  }
  return [finding("TrialRefused", where, `HTTP ${status}: ${message}`)];
}

/** A pod that any Pod Security standard takes. */
function trialPod(): object {
  const securityContext = {
    allowPrivilegeEscalation: false,
    readOnlyRootFilesystem: true,
    capabilities: { drop: ["ALL"] },
  };
  const resources = { requests: { cpu: "10m", memory: "16Mi" }, limits: { cpu: "10m", memory: "16Mi" } };
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      name: "wasmount-doctor",
      labels: { [INJECT]: "true" },
      annotations: { [`${PREFIX}module.doctor`]: MODULE },
    },
    spec: {
      restartPolicy: "Never",
      securityContext: { runAsNonRoot: true, runAsUser: 101, seccompProfile: { type: "RuntimeDefault" } },
      containers: [
        {
          name: "envoy",
          image: "docker.io/envoyproxy/envoy:v1.40.0",
          args: ["-c", "/etc/envoy/envoy.yaml"],
          securityContext,
          resources,
          volumeMounts: [{ name: "config", mountPath: "/etc/envoy", readOnly: true }],
        },
      ],
      volumes: [{ name: "config", configMap: { name: "envoy" } }],
    },
  };
}
