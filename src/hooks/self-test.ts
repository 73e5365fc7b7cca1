import { INJECT, INJECTED, PREFIX } from "../admission/key.ts";
import { FETCHER_NAME, VOLUME_NAME } from "../dataplanes/data-plane.ts";
import { reasons } from "../decision/reason.ts";
import type { Answer, Ask } from "./calls.ts";

export interface SelfTest {
  /** Where the pod would be created. */
  readonly namespace: string;
  /** The module that it asks for. */
  readonly module: string;
}

/** What became of the pod that an API server was asked to create, and not to keep. */
export type SelfTestResult =
  /** It came back with the fetcher, its volume and the labels. */
  | { readonly outcome: "Injected"; readonly image: string }
  /** The webhook was asked, and said no. */
  | { readonly outcome: "Denied"; readonly reason: string; readonly message: string }
  /** The webhook was not asked. @param missing what the pod lacks */
  | { readonly outcome: "Untouched"; readonly missing: readonly string[] }
  /** The API server could not call the webhook. */
  | { readonly outcome: "NotReached"; readonly message: string }
  /** Something else refused the pod, or the call. */
  | { readonly outcome: "Refused"; readonly status: number; readonly message: string };

/** Asks for an opted-in pod by a dry run: nothing is stored, and webhooks are called. @throws HookError Unreachable */
export async function selfTest(ask: Ask, test: SelfTest): Promise<SelfTestResult> {
  const path = `/api/v1/namespaces/${encodeURIComponent(test.namespace)}/pods?dryRun=All`;
  return readResult(await ask("POST", path, { body: selfTestPod(test) }));
}

/** A pod as its author would write it, that Pod Security "restricted" and quotas have nothing against. */
export function selfTestPod({ namespace, module }: SelfTest): object {
  const securityContext = { allowPrivilegeEscalation: false, capabilities: { drop: ["ALL"] } };
  const resources = { requests: { cpu: "1m", memory: "1Mi" }, limits: { cpu: "1m", memory: "1Mi" } };
  const container = (name: string, rest: object) => ({ name, securityContext, resources, ...rest });
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      generateName: "wasmount-self-test-",
      namespace,
      labels: { [INJECT]: "true" },
      annotations: { [`${PREFIX}module.self-test`]: module },
    },
    spec: {
      securityContext: { runAsNonRoot: true, runAsUser: 65532, seccompProfile: { type: "RuntimeDefault" } },
      containers: [
        container("app", { image: "registry.example/wasmount/self-test:1" }),
        container("envoy", {
          image: "docker.io/envoyproxy/envoy:v1.40.0",
          args: ["-c", "/etc/envoy/envoy.yaml"],
          volumeMounts: [{ name: "config", mountPath: "/etc/envoy", readOnly: true }],
        }),
      ],
      volumes: [{ name: "config", configMap: { name: "envoy" } }],
    },
  };
}

/** What an answer to the creation means. */
export function readResult({ status, body, message }: Answer): SelfTestResult {
  if (status === 201 || status === 200) return readPod(body);
  const [, reason = ""] = /webhook "[a-z-]+\.wasmount\.dev" denied the request: wasmount: (\w+): /.exec(message) ?? [];
  if (Object.hasOwn(reasons, reason)) return { outcome: "Denied", reason, message };
  if (/failed calling webhook "[a-z-]+\.wasmount\.dev"/.test(message)) return { outcome: "NotReached", message };
  return { outcome: "Refused", status, message };
}

function readPod(body: unknown): SelfTestResult {
  const { metadata, spec } = (body ?? {}) as {
    readonly metadata?: { readonly labels?: Readonly<Record<string, string>> };
    readonly spec?: {
      readonly initContainers?: readonly { readonly name: string; readonly image: string }[];
      readonly volumes?: readonly { readonly name: string }[];
    };
  };
  const first = spec?.initContainers?.[0];
  const parts: Readonly<Record<string, boolean>> = {
    [`init container ${FETCHER_NAME}`]: first?.name === FETCHER_NAME,
    [`volume ${VOLUME_NAME}`]: spec?.volumes?.some(({ name }) => name === VOLUME_NAME) ?? false,
    [`label ${INJECTED}`]: metadata?.labels?.[INJECTED] === "true",
  };
  const missing = Object.keys(parts).filter(part => !parts[part]);
  return missing.length > 0 ? { outcome: "Untouched", missing } : { outcome: "Injected", image: first?.image ?? "" };
}

/** What a result says to people. @param passed whether the test counts it as good */
export function selfTestText(result: SelfTestResult, { namespace, module }: SelfTest): string {
  const asked = `A dry run of a pod with filter ${module} in namespace ${namespace}`;
  switch (result.outcome) {
    case "Injected":
      return `${asked}: the API server called the webhook, and the pod got its fetcher (${result.image}).`;
    case "Denied":
      return `${asked}: the API server called the webhook, which denied the pod (${result.reason}): ${result.message}`;
    case "Untouched":
      return `${asked}: the pod came back without ${result.missing.join(", ")}. Nobody asked the webhook: is it registered, and is the namespace not excluded? (failurePolicy Ignore lets pods through while no replica answers.)`;
    case "NotReached":
      return `${asked}: the API server can't call the webhook. ${result.message}`;
    case "Refused":
      return `${asked}: HTTP ${result.status}, and not from the webhook: ${result.message}`;
  }
}
