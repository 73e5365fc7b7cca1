/** What can become of a pod. See admission/decision.ts. */
export type Outcome = "Injected" | "Deferred" | "Verified" | "Skipped" | "Denied";

interface ReasonText {
  /** The outcomes that it can stand for. */
  readonly outcomes: readonly Outcome[];
  /** What people read, everywhere. */
  readonly sentence: string;
  /** What to do about it; "" where nothing is to be done. For the documentation: messages say what was found. */
  readonly remedy: string;
}

/**
 * Every reason that a decision can carry. The response, its audit annotations, the log line, the metric, the Event and
 * docs/reasons.md all use these codes; there is no decision without one.
 */
export const reasons = {
  Injected: {
    outcomes: ["Injected"],
    sentence: "The fetcher was injected and the proxy loads its filters from the shared volume.",
    remedy: "",
  },
  ProxyExpected: {
    outcomes: ["Deferred"],
    sentence: "The proxy is not there yet: another webhook is expected to add it and to call for a second pass.",
    remedy: "Nothing, unless the pod is denied with ProxyNeverCame.",
  },
  Verified: {
    outcomes: ["Verified"],
    sentence: "The pod has the fetcher and the plan that wasmount gave it, and its proxy is pointed at them.",
    remedy: "",
  },
  NotSwitchedOn: {
    outcomes: ["Skipped"],
    sentence: "Neither the pod nor its namespace carries the label wasmount.dev/inject=true.",
    remedy: "Label the pod or its namespace, if it is to be filtered.",
  },
  OptedOut: {
    outcomes: ["Skipped"],
    sentence: "The pod carries the label wasmount.dev/inject=false.",
    remedy: "Take the label off, if it is to be filtered.",
  },
  NoFilters: {
    outcomes: ["Skipped"],
    sentence: "Injection is switched on, but no wasmount.dev/module.<filter> annotation names a module.",
    remedy: "Annotate pod or namespace with a module.",
  },
  NotAPodCreation: {
    outcomes: ["Skipped"],
    sentence: "Only the creation of pods is decided about.",
    remedy: "Register the webhook for CREATE of pods only, as manifests/install.yaml does.",
  },
  MirrorPod: {
    outcomes: ["Skipped"],
    sentence: "The pod is the mirror of a static pod, which the kubelet runs whatever is decided about its mirror.",
    remedy: "Filters can't be had for static pods.",
  },
  HostNetwork: {
    outcomes: ["Skipped", "Denied"],
    sentence: "The pod uses its node's network, where a filter would see the traffic of others.",
    remedy: "Label the pod itself wasmount.dev/inject=true to filter it all the same, unless the namespace is locked.",
  },
  WindowsPod: {
    outcomes: ["Skipped", "Denied"],
    sentence: "The pod runs on Windows, where wasmount has no fetcher.",
    remedy: "Take the pod's label off, or move it out of the locked namespace.",
  },
  Locked: {
    outcomes: ["Denied"],
    sentence: "The namespace's filters are locked, and the pod tries to opt out of them or to change them.",
    remedy: "Leave wasmount's labels and annotations to the namespace.",
  },
  BadSwitch: {
    outcomes: ["Denied"],
    sentence: "A label wasmount.dev/inject or wasmount.dev/locked has a value other than true or false.",
    remedy: 'Write "true" or "false", in quotes.',
  },
  UnknownKey: {
    outcomes: ["Denied"],
    sentence: "An annotation or label under wasmount.dev/ is not one that wasmount knows.",
    remedy: "Spell the key as the message proposes.",
  },
  BadFilterName: {
    outcomes: ["Denied"],
    sentence: "A filter's name is not a DNS label.",
    remedy: "Name the filter with a-z, 0-9 and -.",
  },
  BadValue: {
    outcomes: ["Denied"],
    sentence: "An annotation's value is not one that its key allows.",
    remedy: "Write one of the values that the message names.",
  },
  OrphanOption: {
    outcomes: ["Denied"],
    sentence: "An annotation configures a filter that no module annotation names.",
    remedy: "Name its module, or remove the annotation.",
  },
  BadReference: {
    outcomes: ["Denied"],
    sentence: "A module annotation is not a valid OCI reference.",
    remedy: "Write registry/repository:tag or registry/repository@sha256:…",
  },
  DigestRequired: {
    outcomes: ["Denied"],
    sentence: "The operator requires references by digest, and this one has none.",
    remedy: "Add the digest: @sha256:…",
  },
  TooManyFilters: {
    outcomes: ["Denied"],
    sentence: "The pod has more filters than the operator allows.",
    remedy: "Merge or remove filters, or ask the operator for limits.filters.",
  },
  ConfigTooLarge: {
    outcomes: ["Denied"],
    sentence: "A filter's configuration is larger than the operator allows.",
    remedy: "Shorten it, or have the filter load what is large by itself.",
  },
  PlanTooLarge: {
    outcomes: ["Denied"],
    sentence: "All filters and their configurations together do not fit into one plan.",
    remedy: "Shorten the configurations.",
  },
  OpenFailureForbidden: {
    outcomes: ["Denied"],
    sentence: "A filter asks to be left out where it can't be had, which the operator does not allow.",
    remedy: "Remove the on-failure annotation, or ask the operator for failure.allowOpen.",
  },
  ResourcesExceeded: {
    outcomes: ["Denied"],
    sentence: "The pod asks for more resources for the fetcher than the operator allows.",
    remedy: "Ask for less, or ask the operator for fetcher.maxResources.",
  },
  LimitRangeConflict: {
    outcomes: ["Denied"],
    sentence: "The namespace's LimitRanges leave no room for the fetcher.",
    remedy: "Change the LimitRange that the message names.",
  },
  TagUnresolved: {
    outcomes: ["Denied"],
    sentence: "A tag could not be resolved to a digest.",
    remedy: "See what the registry said; write a digest to need no registry at admission.",
  },
  PolicyDenied: {
    outcomes: ["Denied"],
    sentence: "A policy does not let the pod load a filter's image.",
    remedy:
      "Have the image signed by whom the message names, or ask whoever wrote the policy. `wasmount policy test` says the same ahead of time.",
  },
  DirectionUnsupported: {
    outcomes: ["Denied"],
    sentence: "The data plane can't tell traffic of that direction apart.",
    remedy: "Remove the direction annotation.",
  },
  ProxyNotFound: {
    outcomes: ["Denied"],
    sentence: "No container of the pod is an Envoy proxy that wasmount knows.",
    remedy:
      "Name it by wasmount.dev/proxy-container. Where a mesh adds it, the operator's setting is proxy.injectedBy.",
  },
  ProxyAmbiguous: {
    outcomes: ["Denied"],
    sentence: "More than one container of the pod may be the Envoy proxy.",
    remedy: "Name it by wasmount.dev/proxy-container.",
  },
  ProxyTooOld: {
    outcomes: ["Denied"],
    sentence: "The proxy's Envoy is of a release that can't run Wasm filters.",
    remedy: "Run a newer Envoy.",
  },
  ProxyUnsupported: {
    outcomes: ["Denied"],
    sentence: "The proxy of the pod is of a kind that can't run the filters, or that can't be told to.",
    remedy: "See what the message names.",
  },
  SlotNotInstalled: {
    outcomes: ["Denied"],
    sentence: "An object that attaches a filter to the mesh's proxies is missing, or was changed.",
    remedy:
      "Install it anew: helm upgrade with istio.enabled or with kuma among dataPlanes, or kubectl apply of manifests/istio.yaml or manifests/kuma.yaml, or of what wasmount attach prints.",
  },
  SlotsExhausted: {
    outcomes: ["Denied"],
    sentence: "The pod asks for more filters of one phase and direction than there are slots installed.",
    remedy: "Raise istio.slots or kuma.slots of the chart.",
  },
  TcpForbidden: {
    outcomes: ["Denied"],
    sentence: "The namespace lets pass what is not HTTP, which the operator does not allow.",
    remedy: "Remove wasmount.dev/tcp, or have the operator set istio.allowTcp or kuma.allowTcp.",
  },
  ProxyConfigUnknown: {
    outcomes: ["Denied"],
    sentence: "The path of the proxy's configuration can't be told from its command and args.",
    remedy: "Name it by wasmount.dev/proxy-config.",
  },
  ProxyConfigInline: {
    outcomes: ["Denied"],
    sentence: "The proxy's configuration is given on its command line, where listeners can't be edited.",
    remedy: "Give it as a file, from a ConfigMap.",
  },
  ProxyConfigNotMounted: {
    outcomes: ["Denied"],
    sentence: "The proxy's configuration file does not come from a volume of the pod.",
    remedy: "Mount it from a ConfigMap or Secret.",
  },
  ProxyConfigUnsupported: {
    outcomes: ["Denied"],
    sentence: "The proxy's configuration is in a form that can't be edited.",
    remedy: "See what the message names.",
  },
  NameReserved: {
    outcomes: ["Denied"],
    sentence: "A container, a volume, or a mount of one, uses a name that wasmount keeps for its own.",
    remedy: "Call it otherwise.",
  },
  MountShadowed: {
    outcomes: ["Denied"],
    sentence: "A volume is mounted where the proxy reads what the fetcher wrote.",
    remedy: "Mount it elsewhere.",
  },
  FetcherMissing: {
    outcomes: ["Denied"],
    sentence: "The pod is to be filtered, but has no fetcher: something removed it, or injection never ran.",
    remedy: "See whether the mutating webhook is registered, and which other webhook changes init containers.",
  },
  FetcherNotFirst: {
    outcomes: ["Denied"],
    sentence: "An init container runs before the fetcher, and could run before the filters are in place.",
    remedy: "The webhook that put it there must run before wasmount's, or allow reinvocation.",
  },
  FetcherAltered: {
    outcomes: ["Denied"],
    sentence: "The fetcher is not as wasmount made it.",
    remedy: "Exclude wasmount-fetch from the webhook that changes it.",
  },
  PlanForged: {
    outcomes: ["Denied"],
    sentence: "The fetcher's plan was not signed by wasmount for this pod's owner and namespace.",
    remedy:
      "Leave the fetcher to wasmount; where keys were just exchanged, trust the old one for a while (plan.verificationKeyFiles; plan.keysSecret does).",
  },
  PlanOutdated: {
    outcomes: ["Denied"],
    sentence: "The fetcher's plan is of a version that this release of wasmount does not know.",
    remedy: "Upgrade one release at a time.",
  },
  ProxyAltered: {
    outcomes: ["Denied"],
    sentence: "The proxy no longer loads the filters that the plan gives it.",
    remedy: "See which other webhook changes the proxy; it must run before wasmount's, or allow reinvocation.",
  },
  ProxyNeverCame: {
    outcomes: ["Denied"],
    sentence: "The proxy that was expected never came.",
    remedy: "See why the mesh did not inject it, or take its label off.",
  },
  VolumeExposed: {
    outcomes: ["Denied"],
    sentence: "Another container mounts the volume that holds the verified modules.",
    remedy: "Remove the mount.",
  },
  ProcessesShared: {
    outcomes: ["Denied"],
    sentence: "A container shares its processes and its user with the fetcher, and could change what it verified.",
    remedy: "Run it as another user, without privilege escalation, or don't share processes.",
  },
} as const satisfies Readonly<Record<string, ReasonText>>;

export type Reason = keyof typeof reasons;
