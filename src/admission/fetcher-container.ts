import { mayBeAdded } from "../config/added-environment.ts";
import { FETCHER_NAME, type ProxyContainer, TOKEN_VOLUME_NAME, VOLUME_NAME } from "../dataplanes/data-plane.ts";
import type { Container, ResourceRequirements, Volume, VolumeMount } from "../kube/pod.ts";
import type { PlanFetcher } from "../plan/plan.ts";
import type { EnvironmentVariable } from "../plan/transport.ts";

/** Where the API server mounts a ServiceAccount's token into every container that has no mount there. */
const TOKEN_PATH = "/var/run/secrets/kubernetes.io/serviceaccount";

/** What an earlier pass left, and what is kept of it. */
export interface Earlier {
  readonly fetcher: Container | null;
  readonly allowedEnvironment: readonly string[];
}

/**
 * The init container that executes the plan. It meets Pod Security "restricted", and every field that the API server
 * would default is written out: a second admission pass must find exactly what the first one wrote.
 * @param earlier the fetcher of an earlier pass, to which others may have added since: a LimitRange resources, webhooks
 *   the environment variables that the operator lets them
 */
export function fetcherContainer(
  settings: PlanFetcher,
  proxy: ProxyContainer,
  root: string,
  plan: readonly EnvironmentVariable[],
  mounts: readonly VolumeMount[],
  { fetcher: earlier, allowedEnvironment }: Earlier,
): Container {
  const added = (earlier?.env ?? []).filter(({ name }) => mayBeAdded(name, allowedEnvironment));
  return {
    name: FETCHER_NAME,
    image: settings.image,
    // What the admission plugin AlwaysPullImages wrote in between, it would refuse to see undone.
    imagePullPolicy: earlier?.imagePullPolicy === "Always" ? "Always" : settings.imagePullPolicy,
    args: ["fetch"],
    env: [...plan, ...added],
    resources: withAdded(settings.resources, earlier?.resources),
    securityContext: {
      runAsUser: proxy.uid,
      runAsGroup: proxy.gid,
      runAsNonRoot: true,
      privileged: false,
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ["ALL"] },
      seccompProfile: { type: "RuntimeDefault" },
    },
    terminationMessagePath: "/dev/termination-log",
    terminationMessagePolicy: "FallbackToLogsOnError",
    volumeMounts: [
      { name: VOLUME_NAME, mountPath: root },
      { name: TOKEN_VOLUME_NAME, mountPath: TOKEN_PATH, readOnly: true },
      ...mounts,
    ],
  };
}

/** Our resources, with those that we don't set kept as someone else set them. */
function withAdded(ours: ResourceRequirements, earlier: ResourceRequirements | undefined): ResourceRequirements {
  const requests = { ...earlier?.requests, ...ours.requests };
  const limits = { ...earlier?.limits, ...ours.limits };
  return {
    ...(Object.keys(requests).length > 0 && { requests }),
    ...(Object.keys(limits).length > 0 && { limits }),
  };
}

/** The volumes of an injected pod: the shared one, and an empty one that keeps API tokens out of the fetcher. */
export function podVolumes(sizeLimit: string): Volume[] {
  return [
    { name: VOLUME_NAME, emptyDir: { sizeLimit } },
    { name: TOKEN_VOLUME_NAME, emptyDir: { sizeLimit: "1Mi" } },
  ];
}
