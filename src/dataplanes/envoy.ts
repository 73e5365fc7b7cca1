import { posix } from "node:path";
import { isRefusal, type OrRefusal, refuse } from "../decision/refusal.ts";
import { bootstrapFormat } from "../envoy/bootstrap.ts";
import { BootstrapError } from "../envoy/bootstrap-error.ts";
import { readCommandLine, replaceConfigPath } from "../envoy/command-line.ts";
import { cleanPath, coveringMount, isWithin, pathBelow } from "../kube/mount.ts";
import type { Container, Pod, VolumeMount } from "../kube/pod.ts";
import {
  type Attachment,
  type DataPlane,
  FETCHER_NAME,
  type Load,
  type ProxyChanges,
  type ProxyContainer,
  type ProxyWishes,
  VOLUME_NAME,
} from "./data-plane.ts";
import { findProxy, isOfficialImage } from "./envoy-container.ts";
import { refuseShadowing } from "./shadowing.ts";

/** Where the official image reads its configuration when nothing else is said. */
const DEFAULT_CONFIG = "/etc/envoy/envoy.yaml";

const HINT = "annotate wasmount.dev/proxy-config with its path inside the container";

/**
 * Plain Envoy with a static bootstrap: the fetcher edits the file that the pod mounts, and the proxy is pointed at the
 * result. Where the path stands in command or args it is rewritten and the pod's own mount stays; where it is implicit
 * the mount itself is swapped for the edited copy.
 */
export const envoyDataPlane: DataPlane = {
  name: "envoy",
  find: findProxy,
  // Nobody adds plain Envoy by a sign that is known everywhere: operators name theirs (proxy.injectedBy).
  expected: () => null,
  attach,
};

function attach(pod: Pod, proxy: ProxyContainer, wishes: ProxyWishes, { root }: Load): OrRefusal<Attachment> {
  const shadowed = refuseShadowing(proxy.container, root);
  if (shadowed) return shadowed;
  const location = locateConfig(proxy.container, wishes, root);
  if (isRefusal(location)) return location;
  const origin = originOf(pod, proxy.container, location.path, root);
  if (isRefusal(origin)) return origin;
  const target = `${root}/bootstrap${location.path}`;
  const fetcherMount = sourceMount(origin, location.path, root);
  const change = location.rewrite ? location.rewrite(target) : swapMount(proxy.container, origin, root);
  if (isRefusal(change)) return change;
  return {
    bootstrap: {
      source: fetcherMount.source,
      target,
      copy: location.rewrite ? null : { from: fetcherMount.mount.mountPath, to: `${root}/${swappedPath(origin)}` },
    },
    fetcherMounts: [fetcherMount.mount],
    labels: {},
    annotations: {},
    proxy: change,
    objects: none,
    warnings: [],
  };
}

/** Admission changes the pod itself. */
function none(): [] {
  return [];
}

interface ConfigLocation {
  /** The author's path of the configuration, cleaned. */
  readonly path: string;
  /** Points the command line at another path; null where the path does not stand there. */
  readonly rewrite: ((target: string) => ProxyChanges) | null;
}

function locateConfig(container: Container, wishes: ProxyWishes, root: string): OrRefusal<ConfigLocation> {
  const line = readCommandLine(container.command ?? undefined, container.args ?? undefined);
  const wish = wishes.proxyConfig === null ? null : cleanPath(wishes.proxyConfig);
  if (line.kind === "path") {
    const path = authorsPath(line.path, root);
    if (wish === null || wish === path) {
      return editable({ path, rewrite: target => ({ ...replaceConfigPath(line, target), mounts: [] }) });
    }
    const said = `wasmount.dev/proxy-config says ${wish}, the command line of container ${container.name} ${path}`;
    return refuse("BadValue", `annotation ${said}: leave the annotation out`);
  }
  if (line.kind === "inline") return refuse("ProxyConfigInline", `container ${container.name}: ${line.why}`);
  if (wish !== null) return editable({ path: wish, rewrite: null });
  if (line.kind !== "implicit") {
    return refuse("ProxyConfigUnknown", `container ${container.name}: ${line.why}; ${HINT}`);
  }
  if (isOfficialImage(container.image ?? "")) return editable({ path: DEFAULT_CONFIG, rewrite: null });
  const unsaid = `container ${container.name} has neither command nor args, and only official images are known to read ${DEFAULT_CONFIG}`;
  return refuse("ProxyConfigUnknown", `${unsaid}; ${HINT}`);
}

/** Refuses what no edited copy could take the place of. */
function editable(location: ConfigLocation): OrRefusal<ConfigLocation> {
  if (location.path.includes("$")) {
    return refuse("ProxyConfigUnsupported", `the path ${location.path} has a $, which the kubelet may expand`);
  }
  try {
    bootstrapFormat(location.path);
    return location;
  } catch (error) {
    if (error instanceof BootstrapError) return refuse("ProxyConfigUnsupported", error.message);
    throw error;
  }
}

/** In a second pass the command line names our copy, whose path ends with the author's. */
function authorsPath(path: string, root: string): string {
  const copies = `${root}/bootstrap`;
  return isWithin(path, copies) ? `/${pathBelow(path, copies)}` : cleanPath(path);
}

/** The author's mount that the configuration comes from. */
function originOf(pod: Pod, container: Container, path: string, root: string): OrRefusal<VolumeMount> {
  const covering = coveringMount(path, container.volumeMounts ?? []);
  const swapped = covering?.name === VOLUME_NAME ? swappedFrom(pod, covering, root) : covering;
  if (swapped === null) {
    const advice = `mount it from a ConfigMap, or ${HINT} if it is read from elsewhere`;
    return refuse("ProxyConfigNotMounted", `container ${container.name} mounts no volume over ${path}: ${advice}`);
  }
  if (swapped.subPathExpr !== undefined) {
    return refuse("ProxyConfigUnsupported", `the mount at ${swapped.mountPath} uses subPathExpr: use subPath`);
  }
  const volume = pod.spec.volumes?.find(({ name }) => name === swapped.name);
  if (volume === undefined || "emptyDir" in volume || "ephemeral" in volume) {
    return refuse(
      "ProxyConfigUnsupported",
      `${path} lies on volume ${swapped.name}, which is still empty when the fetcher runs, before all other init containers: use a ConfigMap or Secret`,
    );
  }
  return swapped;
}

/** In a second pass the proxy's mount is ours already, and the fetcher's source mount tells whose place it took. */
function swappedFrom(pod: Pod, ours: VolumeMount, root: string): VolumeMount | null {
  const fetcher = pod.spec.initContainers?.find(({ name }) => name === FETCHER_NAME);
  const source = fetcher?.volumeMounts?.find(mount => isWithin(mount.mountPath, `${root}-source`));
  if (source === undefined || !ours.subPath?.startsWith("bootstrap/")) return null;
  return { ...source, mountPath: ours.mountPath };
}

/** Mounts the origin read-only where only the fetcher looks, a single file under its own name. */
function sourceMount(origin: VolumeMount, path: string, root: string): { mount: VolumeMount; source: string } {
  const below = pathBelow(path, origin.mountPath);
  const folder = `${root}-source`;
  const mountPath = below === "" ? posix.join(folder, posix.basename(path)) : folder;
  const { name, subPath } = origin;
  return {
    mount: { name, mountPath, readOnly: true, ...(subPath !== undefined && { subPath }) },
    source: posix.join(mountPath, below),
  };
}

function swapMount(container: Container, origin: VolumeMount, root: string): OrRefusal<ProxyChanges> {
  const advice = "name the configuration with -c in args, so that its mount can stay";
  if (isWithin(root, origin.mountPath)) {
    return refuse(
      "ProxyConfigUnsupported",
      `the mount at ${origin.mountPath} must be swapped, and ${root} lies below it: ${advice}`,
    );
  }
  const nested = container.volumeMounts?.find(
    mount => mount.mountPath !== origin.mountPath && isWithin(mount.mountPath, origin.mountPath),
  );
  if (nested) {
    return refuse(
      "ProxyConfigUnsupported",
      `the mount at ${nested.mountPath} lies below the one at ${origin.mountPath} that must be swapped: ${advice}`,
    );
  }
  const mount = { name: VOLUME_NAME, mountPath: origin.mountPath, readOnly: true, subPath: swappedPath(origin) };
  return { mounts: [mount] };
}

/** Where on our volume the copy of a swapped mount lies. */
function swappedPath(origin: VolumeMount): string {
  return `bootstrap${cleanPath(origin.mountPath)}`;
}
