/**
 * Every reason that a decision can carry, with the sentence that people read. The response, the log line and the
 * metric all use these codes; there is no decision without one.
 */
export const reasons = {
  Injected: "The fetcher was injected and the proxy loads its filters from the shared volume.",
  NotSwitchedOn: "Neither the pod nor its namespace carries the label wasmount.dev/inject=true.",
  Locked: "The namespace's filters are locked, and the pod tries to opt out of them or to change them.",
  OptedOut: "The pod carries the label wasmount.dev/inject=false.",
  NoFilters: "Injection is switched on, but no wasmount.dev/module.<filter> annotation names a module.",
  NotAPodCreation: "Only the creation of pods is mutated.",
  BadSwitch: "A label wasmount.dev/inject or wasmount.dev/locked has a value other than true or false.",
  UnknownKey: "An annotation under wasmount.dev/ is not one that wasmount knows.",
  BadFilterName: "A filter's name is not a DNS label.",
  BadValue: "An annotation's value is not one that its key allows.",
  OrphanOption: "An annotation configures a filter that no module annotation names.",
  BadReference: "A module annotation is not a valid OCI reference.",
  DigestRequired: "The operator requires references by digest, and this one has none.",
  TooManyFilters: "The pod has more filters than the operator allows.",
  ConfigTooLarge: "A filter's configuration is larger than the operator allows.",
  PlanTooLarge: "All filters and their configurations together do not fit into one plan.",
  TagUnresolved: "A tag could not be resolved to a digest.",
  DirectionUnsupported: "The data plane can't tell traffic of that direction apart.",
  ProxyNotFound: "No container of the pod is an Envoy proxy that wasmount knows.",
  ProxyAmbiguous: "More than one container of the pod may be the Envoy proxy.",
  ProxyTooOld: "The proxy's Envoy is of a release that can't run Wasm filters.",
  ProxyConfigUnknown: "The path of the proxy's configuration can't be told from its command and args.",
  ProxyConfigInline: "The proxy's configuration is given on its command line, where listeners can't be edited.",
  ProxyConfigNotMounted: "The proxy's configuration file does not come from a volume of the pod.",
  ProxyConfigUnsupported: "The proxy's configuration is in a form that can't be edited.",
  NameReserved: "A volume, or a mount of one, uses a name that wasmount keeps for its own.",
  MountShadowed: "A volume is mounted where the proxy reads what the fetcher wrote.",
} as const;

export type Reason = keyof typeof reasons;
