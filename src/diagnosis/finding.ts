export type Severity = "failure" | "warning";

interface FindingText {
  readonly severity: Severity;
  /** What is wrong, in general. */
  readonly sentence: string;
  readonly remedy: string;
}

/** Every finding of `wasmount doctor`, in the order in which they are to be mended. docs/doctor.md is written from this. */
export const findings = {
  RightMissing: {
    severity: "warning",
    sentence: "You may not read what this check looks at, so that it was left out.",
    remedy: "Ask for the right that is named, or have somebody else run it.",
  },
  CheckFailed: {
    severity: "warning",
    sentence: "The API server did not answer as it should, so that this check was left out.",
    remedy: "Run it again. Where it stays so, the message tells what was asked and answered.",
  },
  BypassActive: {
    severity: "failure",
    sentence:
      "Somebody has taken wasmount out of the way: API servers don't ask its webhook, or its guard does not refuse.",
    remedy:
      "When the emergency is over: `wasmount bypass off`, then create the pods anew that `wasmount status -A` shows as Uninjected.",
  },
  ServerTooOld: {
    severity: "failure",
    sentence:
      "The API server lacks what wasmount is built on: ValidatingAdmissionPolicies and match conditions (Kubernetes 1.30).",
    remedy: "Upgrade the cluster.",
  },
  RegistrationMissing: {
    severity: "failure",
    sentence: "The webhook is not registered: no pod gets filters, and the guards refuse those that ask for them.",
    remedy: "Install the chart, or apply manifests/install.yaml.",
  },
  EntryMissing: {
    severity: "failure",
    sentence: "The registration lacks one of its entries, so that some pods that are switched on are not asked about.",
    remedy: "Upgrade the chart, or apply manifests/install.yaml again.",
  },
  EntryChanged: {
    severity: "failure",
    sentence:
      "An entry of the registration is not as it ships, so that pods may be asked about wrongly, late or not at all.",
    remedy:
      "Undo what is named, or apply the registration of this release again. Look who changed it: metadata.managedFields tells.",
  },
  EntryUnknown: {
    severity: "warning",
    sentence:
      "The registration has an entry that this release doesn't know: another release put it there, or somebody else.",
    remedy: "Use the `wasmount` of the release that is installed, or remove the entry.",
  },
  SelectorNarrowed: {
    severity: "warning",
    sentence: "A selector has a requirement beside ours: pods that don't meet it never reach the webhook.",
    remedy: "Nothing, where your platform adds it to all webhooks and it is meant. Else remove it.",
  },
  TimeoutTooShort: {
    severity: "failure",
    sentence: "API servers wait less for the webhook's answer than the webhook may take for it.",
    remedy: "Raise timeoutSeconds of the registration above limits.reviewSeconds of the configuration, or lower that.",
  },
  FailuresIgnored: {
    severity: "warning",
    sentence:
      "failurePolicy Ignore: while the webhook is away, nothing but the guards stands between pods and what others make of them.",
    remedy: "Set failurePolicy Fail. To take wasmount out of the way for a while there is `wasmount bypass`.",
  },
  UnfilteredPodsPossible: {
    severity: "failure",
    sentence:
      "failurePolicy Ignore without the guard wasmount-unfiltered-pods: while the webhook is away, pods start without their filters.",
    remedy: "Set failurePolicy Fail, and install the guards (guards.enabled of the chart).",
  },
  MeshAfterUs: {
    severity: "warning",
    sentence: "A mesh's webhook comes after ours in the alphabet: it adds the proxy when wasmount was asked already.",
    remedy:
      "It works, by a second call of ours. Where pods are denied with FetcherNotFirst, register the mesh's under a name before wasmount's.",
  },
  OthersAfterUs: {
    severity: "warning",
    sentence:
      "Another mutating webhook is called after ours and again after each of its changes: what it does to the fetcher, wasmount undoes or refuses.",
    remedy:
      "Nothing, unless pods are denied with Fetcher… or Proxy… reasons: then register it under a name before wasmount's.",
  },
  CaBundleMissing: {
    severity: "failure",
    sentence: "An entry has no caBundle, so that API servers don't trust the webhook's certificate.",
    remedy:
      "Look into the webhook's log (tls.self), or at cert-manager's cainjector: one of the two fills it in. A GitOps tool must not take it out again.",
  },
  CaBundleUnreadable: {
    severity: "failure",
    sentence: "An entry's caBundle holds no certificates.",
    remedy: "Remove the caBundle: whoever fills it in does so again.",
  },
  CertificateUntrusted: {
    severity: "failure",
    sentence: "A replica serves a certificate that the registration's caBundle does not vouch for.",
    remedy:
      "Wait a minute, where it was rotated just now. Else restart the replica; with certificates of your own, set caBundle to their authority.",
  },
  CertificateExpired: {
    severity: "failure",
    sentence: "A certificate is not valid at this time.",
    remedy:
      "Look for CertificateRenewalFailed among the Events of the Deployment and into the webhook's log; with certificates of your own, replace them.",
  },
  CertificateExpiring: {
    severity: "warning",
    sentence: "A certificate has less than a tenth of its life left, though it should have been renewed by now.",
    remedy: "As for CertificateExpired, before it is one.",
  },
  ReplicaUnreachable: {
    severity: "warning",
    sentence: "A replica's certificate and readiness can't be seen through the API server.",
    remedy:
      "You need the rights to create pods/portforward and to get pods/proxy there. A NetworkPolicy may also keep the API server's proxy out of the plain port.",
  },
  DeploymentMissing: {
    severity: "failure",
    sentence: "The webhook is registered, but there is no Deployment wasmount-webhook in its namespace.",
    remedy: "Install the chart, or remove the registration. --system-namespace names another namespace.",
  },
  ReplicasNotReady: {
    severity: "failure",
    sentence: "No replica of the webhook is ready, so that pods that are switched on are not created.",
    remedy:
      "`kubectl describe pods` and their logs in wasmount's namespace tell why. To let other pods in meanwhile: `wasmount bypass`.",
  },
  ReplicaNotReady: {
    severity: "warning",
    sentence: "A replica of the webhook is not ready.",
    remedy: "What it says itself is quoted. `kubectl describe pod` tells the rest.",
  },
  SingleReplica: {
    severity: "warning",
    sentence: "There is one replica: while it is replaced, no pod that is switched on is created.",
    remedy: "Run two or more.",
  },
  VersionsDiffer: {
    severity: "warning",
    sentence: "The replicas, or the replicas and this command line, are of different releases.",
    remedy: "Wait for a rollout to end; use the command line of the release that is installed.",
  },
  ConfigurationInvalid: {
    severity: "failure",
    sentence:
      "The configuration in ConfigMap wasmount-config is none that this release takes: a replica would not start with it.",
    remedy: "Correct what is named. Replicas that run go on with what they read at their start.",
  },
  WebhookRightMissing: {
    severity: "failure",
    sentence: "The webhook's ServiceAccount lacks a right that it needs.",
    remedy: "Upgrade the chart, or apply manifests/install.yaml again; with rbac.create false the roles are yours.",
  },
  DefinitionMissing: {
    severity: "failure",
    sentence:
      "A kind of policies is not defined or not served, so that the webhook never gets ready (policy.fromCluster).",
    remedy: "Upgrade the chart with crds.install true, or apply manifests/install.yaml.",
  },
  DefinitionOutdated: {
    severity: "warning",
    sentence: "A kind of policies is defined otherwise than by this release.",
    remedy: "Upgrade the chart, or apply manifests/install.yaml of the release that is installed.",
  },
  PolicyNotReady: {
    severity: "failure",
    sentence: "A policy is not in force as it is written: the images that it is for are denied.",
    remedy: "Correct what its condition says.",
  },
  PolicyUnseen: {
    severity: "warning",
    sentence: "A policy's last change was not taken up by the webhook yet.",
    remedy:
      "Wait some seconds. Where it stays so, look for policies/status among the webhook's rights and into its log.",
  },
  GuardMissing: {
    severity: "failure",
    sentence: "A guard is not installed, or not bound, or does not refuse.",
    remedy: "Upgrade the chart with guards.enabled true, or apply manifests/install.yaml again.",
  },
  GuardMisfit: {
    severity: "warning",
    sentence: "A guard holds for a part of the cluster alone, or the API server finds fault with its expressions.",
    remedy: "Apply the guards of the release that is installed, on a Kubernetes that it supports.",
  },
  GuardImages: {
    severity: "failure",
    sentence:
      "The guard wasmount-unfiltered-pods doesn't know the fetcher's image, so that it refuses all pods that get filters.",
    remedy: "Upgrade the chart, or set its variable `images` to a list with fetcher.image of the configuration.",
  },
  SlotMissing: {
    severity: "failure",
    sentence:
      "An object of a slot (an EnvoyFilter of Istio, a MeshProxyPatch of Kuma) is missing: pods that need it are denied, and those that run with its label may serve unfiltered.",
    remedy:
      "helm upgrade with istio.enabled or dataPlanes, or kubectl apply of manifests/istio.yaml or manifests/kuma.yaml; then look at `wasmount status -A`.",
  },
  SlotAltered: {
    severity: "failure",
    sentence:
      "An object of a slot (an EnvoyFilter of Istio, a MeshProxyPatch of Kuma) is not as it ships: pods that need it are denied, and those that run with its label may serve unfiltered.",
    remedy:
      "Apply it again, and look who changed it: metadata.managedFields tells. volume.mountPath is part of slots: after changing it they are to be installed anew.",
  },
  WebhookUnreachable: {
    severity: "failure",
    sentence: "The API server can't call the webhook.",
    remedy:
      "Is it ready, does its Service have endpoints, does a NetworkPolicy let API servers in (docs/security.md), do firewalls of the cloud let them reach port 10250 of pods?",
  },
  NotInjected: {
    severity: "failure",
    sentence: "A pod that asks for a filter did not get it.",
    remedy: "Mend what is found above: registration, bypass, failure policy.",
  },
  TrialRefused: {
    severity: "warning",
    sentence:
      "The pod on trial was refused for another reason, so that it is not known whether pods get their filters.",
    remedy: "Name a namespace where you may create pods: --namespace.",
  },
  NamespaceRefused: {
    severity: "failure",
    sentence: "What a namespace says is refused, so that none of its pods that are switched on is created.",
    remedy: "Correct the label or annotation that is named.",
  },
  NamespaceIgnored: {
    severity: "warning",
    sentence: "A namespace has labels of wasmount's, but is one of those that the webhook is never asked about.",
    remedy: "Move what is to be filtered into a namespace of its own.",
  },
  PodSecurityMissing: {
    severity: "warning",
    sentence:
      "A locked namespace does not enforce Pod Security of at least baseline: a privileged pod gets around its filters.",
    remedy:
      "Label it pod-security.kubernetes.io/enforce=baseline, or restricted, or have another admission plugin do the same.",
  },
  FetcherDoesNotFit: {
    severity: "failure",
    sentence: "A LimitRange of a namespace leaves no room for the fetcher.",
    remedy: "Change the LimitRange, or fetcher.resources of the configuration.",
  },
  PodsUninjected: {
    severity: "failure",
    sentence: "Pods run without filters that they ask for.",
    remedy: "`wasmount status -A` lists them. Create them anew, such as by `kubectl rollout restart`.",
  },
  PodsFailed: {
    severity: "warning",
    sentence: "Fetchers fail, so that their pods don't start.",
    remedy: "`wasmount status -A` tells which and why.",
  },
} as const satisfies Readonly<Record<string, FindingText>>;

export type FindingCode = keyof typeof findings;

/** One thing that is wrong with an installation. */
export interface Finding {
  readonly code: FindingCode;
  readonly severity: Severity;
  /** The object or place that it was found at. */
  readonly where: string;
  /** What the code means. */
  readonly what: string;
  /** What was found there; "" where that says it all. */
  readonly found: string;
  readonly remedy: string;
}

/** A finding in the words of its code. */
export function finding(code: FindingCode, where: string, found = ""): Finding {
  const { severity, sentence, remedy } = findings[code];
  return { code, severity, where, what: sentence, found, remedy };
}
