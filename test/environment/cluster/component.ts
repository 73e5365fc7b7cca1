import { dirname } from "node:path";
import type { Binaries } from "./binaries.ts";
import { nodeName, pki } from "./certificates.ts";
import { podNetwork, serviceNetwork } from "./network.ts";
import { type Settings, stateFolder } from "./settings.ts";

/** One process of the cluster: a pure function of its settings, so that a changed argument is a reason to restart. */
export interface Component {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  /** Folders to find further programs in, before PATH. */
  readonly path: readonly string[];
  /** The TCP ports it listens on. */
  readonly ports: readonly number[];
  /** Where it is reached, for people. */
  readonly address: string;
  /** The URL that answers 2xx when it is healthy; null for containerd, which speaks gRPC only. */
  readonly health: string | null;
}

/** The components in the order of their start. Those whose binary is absent are left out. */
export function components(settings: Settings): readonly Component[] {
  const all = [
    etcd("etcd", settings.ports.etcdClient, settings.ports.etcdPeer, settings),
    // Events have a store of their own, as in large clusters, so that a test can lose it.
    etcd("etcd-events", settings.ports.eventsClient, settings.ports.eventsPeer, settings),
    apiServer(settings),
    controllerManager(settings),
    scheduler(settings),
    ...(settings.node ? [containerd(settings), kubelet(settings), proxy(settings)] : []),
  ];
  return all.filter(component => component.command !== "");
}

function etcd(name: string, clientPort: number, peerPort: number, { binaries }: Settings): Component {
  const client = `https://127.0.0.1:${clientPort}`;
  const peer = `http://127.0.0.1:${peerPort}`;
  return component(name, { [name]: binaries["etcd"] ?? "" }, [clientPort, peerPort], `${client}/health`, [
    `--data-dir=${stateFolder(name)}`,
    "--unsafe-no-fsync",
    "--log-level=warn",
    `--listen-client-urls=${client}`,
    `--advertise-client-urls=${client}`,
    `--listen-peer-urls=${peer}`,
    `--initial-advertise-peer-urls=${peer}`,
    `--initial-cluster=default=${peer}`,
    "--client-cert-auth",
    `--trusted-ca-file=${pki.ca()}`,
    `--cert-file=${pki.serving()}`,
    `--key-file=${pki.servingKey()}`,
  ]);
}

function apiServer({ ports, node, binaries }: Settings): Component {
  // Pods reach it at the bridge, so with a node it listens on every address; without, on loopback only.
  const listen = node
    ? ["--bind-address=0.0.0.0", `--advertise-address=${podNetwork.gateway}`]
    : ["--bind-address=127.0.0.1", "--advertise-address=127.0.0.1", "--endpoint-reconciler-type=none"];
  // Without a controller-manager no namespace gets its default ServiceAccount, and no pod could be created.
  const admission = binaries["kube-controller-manager"] ? [] : ["--disable-admission-plugins=ServiceAccount"];
  return component("kube-apiserver", binaries, [ports.api], `https://127.0.0.1:${ports.api}/readyz`, [
    ...listen,
    ...admission,
    `--secure-port=${ports.api}`,
    `--etcd-servers=https://127.0.0.1:${ports.etcdClient}`,
    `--etcd-servers-overrides=/events#https://127.0.0.1:${ports.eventsClient}`,
    // It panics where it compacts a store whose data was lost (k8s.io/apiserver, storage/etcd3/compact.go: it finds no key).
    "--etcd-compaction-interval=0",
    `--etcd-cafile=${pki.ca()}`,
    `--etcd-certfile=${pki.client()}`,
    `--etcd-keyfile=${pki.clientKey()}`,
    `--tls-cert-file=${pki.serving()}`,
    `--tls-private-key-file=${pki.servingKey()}`,
    `--service-cluster-ip-range=${serviceNetwork.subnet}`,
    "--service-account-issuer=https://kubernetes.default.svc",
    `--service-account-key-file=${pki.tokenKey()}`,
    `--service-account-signing-key-file=${pki.tokenKey()}`,
    `--token-auth-file=${stateFolder("tokens.csv")}`,
    "--authorization-mode=Node,RBAC",
    "--enable-admission-plugins=NodeRestriction",
    "--allow-privileged=true",
    "--enable-aggregator-routing=true",
    `--kubelet-certificate-authority=${pki.ca()}`,
    `--kubelet-client-certificate=${pki.client()}`,
    `--kubelet-client-key=${pki.clientKey()}`,
    "--kubelet-preferred-address-types=InternalIP",
    `--audit-policy-file=${stateFolder("audit-policy.yaml")}`,
    `--audit-log-path=${stateFolder("logs", "audit.json")}`,
    "--profiling=false",
  ]);
}

function controllerManager({ ports, binaries }: Settings): Component {
  const port = ports.controllerManager;
  return component("kube-controller-manager", binaries, [port], `https://127.0.0.1:${port}/healthz`, [
    `--kubeconfig=${stateFolder("controllerManager.kubeconfig")}`,
    "--bind-address=127.0.0.1",
    `--secure-port=${port}`,
    `--tls-cert-file=${pki.serving()}`,
    `--tls-private-key-file=${pki.servingKey()}`,
    "--use-service-account-credentials",
    `--service-account-private-key-file=${pki.tokenKey()}`,
    `--root-ca-file=${pki.ca()}`,
    `--cluster-signing-cert-file=${pki.ca()}`,
    `--cluster-signing-key-file=${pki.caKey()}`,
    "--leader-elect=false",
  ]);
}

function scheduler({ ports, binaries }: Settings): Component {
  return component("kube-scheduler", binaries, [ports.scheduler], `https://127.0.0.1:${ports.scheduler}/healthz`, [
    `--kubeconfig=${stateFolder("scheduler.kubeconfig")}`,
    "--bind-address=127.0.0.1",
    `--secure-port=${ports.scheduler}`,
    `--tls-cert-file=${pki.serving()}`,
    `--tls-private-key-file=${pki.servingKey()}`,
    "--leader-elect=false",
  ]);
}

/** Where containerd takes requests. */
export function containerdSocket(): string {
  return stateFolder("containerd.sock");
}

function containerd({ binaries }: Settings): Component {
  const base = component("containerd", binaries, [], null, [`--config=${stateFolder("containerd.toml")}`]);
  // Its shim is looked for on PATH.
  return { ...base, address: containerdSocket(), path: [dirname(base.command)] };
}

function proxy({ ports, binaries }: Settings): Component {
  const { proxyHealth, proxyMetrics } = ports;
  return component("kube-proxy", binaries, [proxyHealth, proxyMetrics], `http://127.0.0.1:${proxyHealth}/livez`, [
    `--kubeconfig=${stateFolder("proxy.kubeconfig")}`,
    `--hostname-override=${nodeName}`,
    "--proxy-mode=iptables",
    `--cluster-cidr=${podNetwork.subnet}`,
    // On one bridge an answer would go straight from pod to pod, past the address translation, without this.
    "--masquerade-all",
    "--iptables-localhost-nodeports=false",
    `--healthz-bind-address=127.0.0.1:${proxyHealth}`,
    `--metrics-bind-address=127.0.0.1:${proxyMetrics}`,
    "--conntrack-max-per-core=0",
    "--conntrack-min=0",
    "--conntrack-tcp-timeout-established=0",
    "--conntrack-tcp-timeout-close-wait=0",
  ]);
}

function kubelet({ ports, binaries }: Settings): Component {
  const own = [ports.kubelet, ports.kubeletHealth];
  return component("kubelet", binaries, own, `http://127.0.0.1:${ports.kubeletHealth}/healthz`, [
    `--config=${stateFolder("kubelet.yaml")}`,
    `--kubeconfig=${stateFolder("kubelet.kubeconfig")}`,
    `--hostname-override=${nodeName}`,
    `--node-ip=${podNetwork.gateway}`,
    `--root-dir=${stateFolder("kubelet")}`,
  ]);
}

function component(
  name: string,
  binaries: Binaries,
  ports: readonly number[],
  health: string | null,
  args: readonly string[],
): Component {
  const address = health ? new URL(health).origin : "";
  return { name, command: binaries[name] ?? "", args, path: [], ports, address, health };
}
