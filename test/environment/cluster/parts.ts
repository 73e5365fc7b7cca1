import { versions } from "../versions.ts";

/** One thing to build: a Go module folder under test/environment/modules, and the commands of it to compile. */
export interface Part {
  readonly name: string;
  readonly version: string;
  /** The folder under test/environment/modules whose go.mod and go.sum pin everything. */
  readonly folder: string;
  /** The pinned module, as go.mod has to require it; null for a program of our own. */
  readonly requires: { readonly module: string; readonly version: string } | null;
  /** Package path of each binary, by the binary's name. */
  readonly binaries: Readonly<Record<string, string>>;
  readonly linkerFlags: string;
  /** Build tags, as upstream's own builds set them. */
  readonly tags?: string;
  /** What to expect of a cold build on two cores, in words. */
  readonly coldBuild: string;
}

const stripped = "-s -w";

function kubernetes(name: string, coldBuild: string): Part {
  const [major = "", minor = ""] = versions.kubernetes.split(".");
  const stamps = ["k8s.io/component-base/version", "k8s.io/client-go/pkg/version"].flatMap(target => [
    `-X ${target}.gitVersion=v${versions.kubernetes}`,
    `-X ${target}.gitMajor=${major}`,
    `-X ${target}.gitMinor=${minor}`,
    `-X ${target}.gitTreeState=clean`,
    `-X ${target}.gitCommit=unknown`,
    `-X ${target}.buildDate=1970-01-01T00:00:00Z`,
  ]);
  return {
    name,
    version: versions.kubernetes,
    folder: "kubernetes",
    requires: { module: "k8s.io/kubernetes", version: `v${versions.kubernetes}` },
    binaries: { [name]: `k8s.io/kubernetes/cmd/${name}` },
    linkerFlags: [stripped, ...stamps].join(" "),
    coldBuild,
  };
}

/** What every cluster runs: enough for an API server with its controllers, without a node. */
export const controlPlaneParts: readonly Part[] = [
  {
    name: "etcd",
    version: versions.etcd,
    folder: "etcd",
    requires: { module: "go.etcd.io/etcd/server/v3", version: `v${versions.etcd}` },
    binaries: { etcd: "go.etcd.io/etcd/server/v3" },
    linkerFlags: stripped,
    coldBuild: "half a minute",
  },
  kubernetes("kube-apiserver", "4 minutes"),
  kubernetes("kube-controller-manager", "half a minute"),
  kubernetes("kube-scheduler", "some seconds"),
  kubernetes("kubectl", "half a minute"),
];

/** What a node adds. The last is the process that holds a pod's namespaces: a program of a few lines. */
export const nodeParts: readonly Part[] = [
  {
    name: "containerd",
    version: versions.containerd,
    folder: "containerd",
    requires: { module: "github.com/containerd/containerd/v2", version: `v${versions.containerd}` },
    binaries: {
      containerd: "github.com/containerd/containerd/v2/cmd/containerd",
      "containerd-shim-runc-v2": "github.com/containerd/containerd/v2/cmd/containerd-shim-runc-v2",
      ctr: "github.com/containerd/containerd/v2/cmd/ctr",
    },
    linkerFlags: stripped,
    coldBuild: "a minute",
  },
  kubernetes("kubelet", "half a minute"),
  kubernetes("kube-proxy", "some seconds"),
  {
    name: "pause",
    version: "1",
    folder: "pause",
    requires: null,
    binaries: { pause: "." },
    linkerFlags: stripped,
    coldBuild: "some seconds",
  },
];

/** A command-line program of its own module. */
function tool(name: "registry" | "oras" | "crane" | "cosign", module: string, coldBuild: string): Part {
  const version = versions[name];
  return {
    name,
    version,
    folder: name,
    requires: { module, version: `v${version}` },
    binaries: { [name]: `${module}/cmd/${name}` },
    linkerFlags: stripped,
    coldBuild,
  };
}

/** Real peers of our registry client, and the suite that holds the registry of our own to the specification. */
export const peerParts: readonly Part[] = [
  tool("registry", "github.com/distribution/distribution/v3", "a minute"),
  tool("oras", "oras.land/oras", "some seconds"),
  tool("crane", "github.com/google/go-containerregistry", "some seconds"),
  tool("cosign", "github.com/sigstore/cosign/v3", "3 minutes"),
  {
    name: "referrers",
    version: versions.crane,
    folder: "referrers",
    requires: { module: "github.com/google/go-containerregistry", version: `v${versions.crane}` },
    binaries: { referrers: "." },
    linkerFlags: stripped,
    coldBuild: "some seconds",
  },
  {
    name: "cert-manager",
    version: versions.certManager,
    folder: "cert-manager",
    requires: { module: "github.com/cert-manager/cert-manager", version: `v${versions.certManager}` },
    binaries: { "cert-manager": "." },
    linkerFlags: stripped,
    coldBuild: "2 minutes",
  },
  {
    name: "conformance",
    version: versions.conformance,
    folder: "conformance",
    requires: {
      module: "github.com/opencontainers/distribution-spec/conformance",
      version: `v${versions.conformance}`,
    },
    binaries: { conformance: "github.com/opencontainers/distribution-spec/conformance" },
    linkerFlags: stripped,
    coldBuild: "some seconds",
  },
];

function mesh(name: string, path: string, tags: string, coldBuild: string): Part {
  const stamp = "-X istio.io/istio/pkg/version";
  return {
    name,
    version: versions.istio,
    folder: "istio",
    requires: { module: "istio.io/istio", version: `v${versions.istio}` },
    binaries: { [name]: `istio.io/istio/${path}/${name}` },
    linkerFlags: `${stripped} ${stamp}.buildVersion=${versions.istioRelease} ${stamp}.buildHub=local`,
    tags,
    coldBuild,
  };
}

/** Istio: its control plane, its command line, and what runs beside Envoy in its proxies. Tags as upstream builds them. */
export const meshParts: readonly Part[] = [
  mesh("pilot-discovery", "pilot/cmd", "vtprotobuf,disable_pgv", "5 minutes"),
  mesh("istioctl", "istioctl/cmd", "vtprotobuf,disable_pgv", "half a minute"),
  mesh("pilot-agent", "pilot/cmd", "agent,disable_pgv,grpcnotrace,retrynotrace", "half a minute"),
];

/** What installs the chart, and what writes manifests/install.yaml. */
export const chartParts: readonly Part[] = [
  {
    name: "helm",
    version: versions.helm,
    folder: "helm",
    requires: { module: "helm.sh/helm/v4", version: `v${versions.helm}` },
    binaries: { helm: "helm.sh/helm/v4/cmd/helm" },
    linkerFlags: `${stripped} -X helm.sh/helm/v4/internal/version.version=v${versions.helm}`,
    coldBuild: "2 minutes",
  },
];

/** What benchmarks send their load with. */
export const benchmarkParts: readonly Part[] = [
  {
    name: "vegeta",
    version: versions.vegeta,
    folder: "vegeta",
    requires: { module: "github.com/tsenart/vegeta/v12", version: `v${versions.vegeta}` },
    binaries: { vegeta: "github.com/tsenart/vegeta/v12" },
    linkerFlags: stripped,
    coldBuild: "some seconds",
  },
];
