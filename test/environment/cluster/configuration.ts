import { existsSync } from "node:fs";
import { mkdir, readFile, statfs, writeFile } from "node:fs/promises";
import { stringify } from "yaml";
import { nodeName, pki } from "./certificates.ts";
import { containerdSocket } from "./component.ts";
import { podNetwork } from "./network.ts";
import type { NodeTools } from "./packages.ts";
import { containerdRoot, kubeconfigPath, type Settings, stateFolder, type User } from "./settings.ts";

/** The image of the process that holds a pod's namespaces. */
export const pauseReference = "docker.io/local/pause:1";

/** The API server's name and groups of each user (token file format: token,user,uid,"groups"). */
const users: Readonly<Record<User, readonly [name: string, group: string]>> = {
  admin: ["admin", "system:masters"],
  controllerManager: ["system:kube-controller-manager", ""],
  scheduler: ["system:kube-scheduler", ""],
  kubelet: [`system:node:${nodeName}`, "system:nodes"],
  proxy: ["system:kube-proxy", ""],
};

/** Writes every file that the components read, except keys and certificates, which have to be there. */
export async function writeConfiguration(settings: Settings, tools: NodeTools | null): Promise<void> {
  await mkdir(stateFolder("logs"), { recursive: true, mode: 0o700 });
  await writeUsers(settings);
  await put("audit-policy.yaml", {
    apiVersion: "audit.k8s.io/v1",
    kind: "Policy",
    omitStages: ["RequestReceived"],
    rules: [
      {
        level: "Metadata",
        verbs: ["create", "update", "patch", "delete"],
        resources: [{ group: "", resources: ["pods"] }],
      },
      { level: "None" },
    ],
  });
  if (!tools) return;
  await mkdir(stateFolder("cni"), { recursive: true });
  await writeFile(stateFolder("cni", "10-bridge.conflist"), JSON.stringify(podNetworkConfiguration(), null, 2));
  await writeFile(stateFolder("containerd.toml"), containerdConfiguration(tools, await snapshotter()));
  if (!existsSync("/etc/resolv.conf")) await writeFile(stateFolder("resolv.conf"), "");
  await put("kubelet.yaml", kubeletConfiguration(settings));
}

async function writeUsers(settings: Settings): Promise<void> {
  const authority = (await readFile(pki.ca())).toString("base64");
  const rows: string[] = [];
  for (const user of Object.keys(users) as User[]) {
    const [name, group] = users[user];
    rows.push([settings.tokens[user], name, name, ...(group ? [`"${group}"`] : [])].join(","));
    const file = user === "admin" ? kubeconfigPath() : stateFolder(`${user}.kubeconfig`);
    await writeFile(file, stringify(kubeconfig(settings, user, authority)), { mode: 0o600 });
  }
  await writeFile(stateFolder("tokens.csv"), `${rows.join("\n")}\n`, { mode: 0o600 });
}

function kubeconfig(settings: Settings, user: User, authority: string): object {
  const server = `https://127.0.0.1:${settings.ports.api}`;
  const name = "wasmount";
  return {
    apiVersion: "v1",
    kind: "Config",
    clusters: [{ name, cluster: { server, "certificate-authority-data": authority } }],
    users: [{ name: user, user: { token: settings.tokens[user] } }],
    contexts: [{ name, context: { cluster: name, user } }],
    "current-context": name,
  };
}

function podNetworkConfiguration(): object {
  return {
    cniVersion: "1.0.0",
    name: "wasmount-pods",
    plugins: [
      {
        type: "bridge",
        bridge: podNetwork.bridge,
        isGateway: true,
        hairpinMode: true,
        ipam: {
          type: "host-local",
          dataDir: stateFolder("addresses"),
          ranges: [[{ subnet: podNetwork.subnet, gateway: podNetwork.gateway }]],
          routes: [{ dst: "0.0.0.0/0" }],
        },
      },
    ],
  };
}

function containerdConfiguration(tools: NodeTools, snapshots: string): string {
  return `version = 3
root = ${JSON.stringify(containerdRoot())}
state = ${JSON.stringify(stateFolder("containerd"))}
disabled_plugins = ["io.containerd.nri.v1.nri"]
[grpc]
  address = ${JSON.stringify(containerdSocket())}
[plugins.'io.containerd.internal.v1.opt']
  path = ${JSON.stringify(stateFolder("opt"))}
[plugins.'io.containerd.cri.v1.images']
  snapshotter = "${snapshots}"
[plugins.'io.containerd.cri.v1.images'.pinned_images]
  sandbox = "${pauseReference}"
[plugins.'io.containerd.cri.v1.runtime']
  # Lowering the score needs CAP_SYS_RESOURCE, which root in a container or a small virtual machine may lack.
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true
  [plugins.'io.containerd.cri.v1.runtime'.cni]
    bin_dirs = [${JSON.stringify(tools.cni)}]
    conf_dir = ${JSON.stringify(stateFolder("cni"))}
  [plugins.'io.containerd.cri.v1.runtime'.containerd]
    default_runtime_name = "runc"
    [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
        BinaryName = ${JSON.stringify(tools.runc)}
        SystemdCgroup = false
`;
}

/** overlayfs can't lie on overlayfs, which is what a container's own file system is (magic number: statfs(2)). */
async function snapshotter(): Promise<string> {
  await mkdir(containerdRoot(), { recursive: true, mode: 0o700 });
  const { type } = await statfs(containerdRoot());
  return type === 0x794c7630 ? "native" : "overlayfs";
}

function kubeletConfiguration({ ports }: Settings): object {
  return {
    apiVersion: "kubelet.config.k8s.io/v1beta1",
    kind: "KubeletConfiguration",
    failCgroupV1: false,
    cgroupDriver: "cgroupfs",
    containerRuntimeEndpoint: `unix://${containerdSocket()}`,
    oomScoreAdj: 0,
    failSwapOn: false,
    address: podNetwork.gateway,
    port: ports.kubelet,
    healthzBindAddress: "127.0.0.1",
    healthzPort: ports.kubeletHealth,
    tlsCertFile: pki.serving(),
    tlsPrivateKeyFile: pki.servingKey(),
    authentication: { anonymous: { enabled: false }, webhook: { enabled: true }, x509: { clientCAFile: pki.ca() } },
    authorization: { mode: "Webhook" },
    enforceNodeAllocatable: [],
    // The machine's disk and memory are its own business: no pod of a test is evicted for them, no image collected.
    evictionHard: { "memory.available": "0%", "nodefs.available": "0%", "imagefs.available": "0%" },
    imageGCHighThresholdPercent: 100,
    serializeImagePulls: false,
    podLogsDir: stateFolder("pod-logs"),
    volumePluginDir: stateFolder("volume-plugins"),
    resolvConf: existsSync("/etc/resolv.conf") ? "/etc/resolv.conf" : stateFolder("resolv.conf"),
    makeIPTablesUtilChains: false,
  };
}

async function put(name: string, document: object): Promise<void> {
  await writeFile(stateFolder(name), stringify(document), { mode: 0o600 });
}
