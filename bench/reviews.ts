import type { Namespace } from "../src/kube/namespace.ts";

/** How the pods of a load differ from each other. */
export interface Variety {
  /** How many different filter configurations there are: pods of the same one get the same plan. */
  readonly plans: number;
  /** Pods of one controlling owner. */
  readonly replicas: number;
}

/** The namespace that all pods are created in: injection is switched on by its label. */
export const namespace: Namespace = {
  name: "shop",
  labels: { "kubernetes.io/metadata.name": "shop", "wasmount.dev/inject": "true" },
  annotations: {},
};

/**
 * The creation of one pod as an API server sends it (admission.k8s.io/v1): two containers, one filter by digest, every
 * default filled in, about 6 KB of JSON. Reviews of different indexes differ in uid, pod name, labels and, by the
 * variety, in owner and filter configuration.
 * @param index 0 … 2^32 - 1
 */
export function podReview(index: number, variety: Variety): object {
  return {
    kind: "AdmissionReview",
    apiVersion: "admission.k8s.io/v1",
    request: {
      uid: uid(1, index),
      kind: { group: "", version: "v1", kind: "Pod" },
      resource: { group: "", version: "v1", resource: "pods" },
      requestKind: { group: "", version: "v1", kind: "Pod" },
      requestResource: { group: "", version: "v1", resource: "pods" },
      namespace: namespace.name,
      operation: "CREATE",
      userInfo: {
        username: "system:serviceaccount:kube-system:replicaset-controller",
        uid: uid(2, 0),
        groups: ["system:serviceaccounts", "system:serviceaccounts:kube-system", "system:authenticated"],
        extra: { "authentication.kubernetes.io/credential-id": [`JTI=${uid(3, index)}`] },
      },
      object: pod(index, variety),
      oldObject: null,
      dryRun: false,
      options: { kind: "CreateOptions", apiVersion: "meta.k8s.io/v1" },
    },
  };
}

function pod(index: number, { plans, replicas }: Variety): object {
  const owner = Math.floor(index / replicas);
  const set = `orders-${owner.toString(16).padStart(8, "0")}`;
  const configuration = { headers: { "x-filtered-by": "wasmount", "x-frame-options": "DENY" }, variant: owner % plans };
  return {
    kind: "Pod",
    apiVersion: "v1",
    metadata: {
      generateName: `${set}-`,
      namespace: namespace.name,
      labels: {
        app: "orders",
        "app.kubernetes.io/name": "orders",
        "app.kubernetes.io/version": "4.2.0",
        "pod-template-hash": owner.toString(16).padStart(8, "0"),
        revision: String(index),
      },
      annotations: {
        "prometheus.io/scrape": "true",
        "prometheus.io/port": "9090",
        "wasmount.dev/module.headers": `registry.example/filters/response-headers@sha256:${"5f".repeat(32)}`,
        "wasmount.dev/config.headers": JSON.stringify(configuration),
      },
      ownerReferences: [
        {
          apiVersion: "apps/v1",
          kind: "ReplicaSet",
          name: set,
          uid: uid(4, owner),
          controller: true,
          blockOwnerDeletion: true,
        },
      ],
      managedFields: [managedFields(uid(4, owner))],
    },
    spec: spec(),
    status: {},
  };
}

/** What the API server notes about who set which field: a good part of what it sends. */
function managedFields(owner: string): object {
  const container = {
    ".": {},
    "f:image": {},
    "f:imagePullPolicy": {},
    "f:name": {},
    "f:resources": {},
    "f:securityContext": {},
    "f:terminationMessagePath": {},
    "f:terminationMessagePolicy": {},
    "f:volumeMounts": {},
  };
  return {
    manager: "kube-controller-manager",
    operation: "Update",
    apiVersion: "v1",
    time: "2026-01-01T00:00:00Z",
    fieldsType: "FieldsV1",
    fieldsV1: {
      "f:metadata": {
        "f:annotations": { ".": {}, "f:wasmount.dev/config.headers": {}, "f:wasmount.dev/module.headers": {} },
        "f:generateName": {},
        "f:labels": { ".": {}, "f:app": {}, "f:pod-template-hash": {}, "f:revision": {} },
        "f:ownerReferences": { ".": {}, [`k:{"uid":"${owner}"}`]: {} },
      },
      "f:spec": {
        "f:containers": { 'k:{"name":"app"}': container, 'k:{"name":"envoy"}': container },
        "f:dnsPolicy": {},
        "f:enableServiceLinks": {},
        "f:restartPolicy": {},
        "f:schedulerName": {},
        "f:securityContext": {},
        "f:terminationGracePeriodSeconds": {},
        "f:volumes": { ".": {}, 'k:{"name":"config"}': {} },
      },
    },
  };
}

const TOKEN = "kube-api-access-x7k2p";

function spec(): object {
  const token = { name: TOKEN, readOnly: true, mountPath: "/var/run/secrets/kubernetes.io/serviceaccount" };
  const shared = {
    imagePullPolicy: "IfNotPresent",
    terminationMessagePath: "/dev/termination-log",
    terminationMessagePolicy: "File",
  };
  const confined = { capabilities: { drop: ["ALL"] }, allowPrivilegeEscalation: false };
  return {
    volumes: [
      { name: "config", configMap: { name: "envoy", defaultMode: 420 } },
      {
        name: TOKEN,
        projected: {
          sources: [
            { serviceAccountToken: { expirationSeconds: 3607, path: "token" } },
            { configMap: { name: "kube-root-ca.crt", items: [{ key: "ca.crt", path: "ca.crt" }] } },
            {
              downwardAPI: {
                items: [{ path: "namespace", fieldRef: { apiVersion: "v1", fieldPath: "metadata.namespace" } }],
              },
            },
          ],
          defaultMode: 420,
        },
      },
    ],
    containers: [
      {
        name: "app",
        image: "registry.example/shop/orders:4.2.0",
        args: ["--listen", "127.0.0.1:8080"],
        env: [
          { name: "POD_NAME", valueFrom: { fieldRef: { apiVersion: "v1", fieldPath: "metadata.name" } } },
          { name: "DATABASE", value: "postgres://orders.shop.svc.cluster.local:5432/orders" },
        ],
        resources: { requests: { cpu: "100m", memory: "128Mi" }, limits: { memory: "256Mi" } },
        volumeMounts: [token],
        readinessProbe: probe("/healthz", 8080),
        securityContext: { ...confined, runAsUser: 1000 },
        ...shared,
      },
      {
        name: "envoy",
        image: "docker.io/envoyproxy/envoy:v1.40.0",
        args: ["-c", "/etc/envoy/envoy.yaml", "--log-level", "warning"],
        ports: [{ name: "http", containerPort: 10_000, protocol: "TCP" }],
        resources: { requests: { cpu: "50m", memory: "64Mi" }, limits: { memory: "128Mi" } },
        volumeMounts: [{ name: "config", readOnly: true, mountPath: "/etc/envoy" }, token],
        readinessProbe: probe("/ready", 9901),
        securityContext: { ...confined, runAsUser: 101 },
        ...shared,
      },
    ],
    restartPolicy: "Always",
    terminationGracePeriodSeconds: 30,
    dnsPolicy: "ClusterFirst",
    serviceAccountName: "orders",
    serviceAccount: "orders",
    securityContext: { runAsNonRoot: true, seccompProfile: { type: "RuntimeDefault" } },
    schedulerName: "default-scheduler",
    tolerations: ["not-ready", "unreachable"].map(condition => ({
      key: `node.kubernetes.io/${condition}`,
      operator: "Exists",
      effect: "NoExecute",
      tolerationSeconds: 300,
    })),
    priority: 0,
    enableServiceLinks: true,
    preemptionPolicy: "PreemptLowerPriority",
  };
}

function probe(path: string, port: number): object {
  return {
    httpGet: { path, port, scheme: "HTTP" },
    timeoutSeconds: 1,
    periodSeconds: 10,
    successThreshold: 1,
    failureThreshold: 3,
  };
}

/** A UID of its own for each kind of thing and index: reproducible, so that two runs send the same bytes. */
function uid(kind: number, index: number): string {
  return `${kind.toString(16).padStart(8, "0")}-0000-4000-8000-${index.toString(16).padStart(12, "0")}`;
}
