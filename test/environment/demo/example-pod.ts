import { join } from "node:path";
import { parse } from "yaml";
import type { Container, Pod } from "../../../src/kube/pod.ts";
import { exampleManifest } from "../example.ts";
import type { ConfigMaps } from "../pod-runner/volumes.ts";

/** What stands in the example's manifests for things that only a real cluster has. */
export interface Placement {
  /** Reference of the module, in the registry that runs now. */
  readonly module: string;
  /** Ports of this machine in place of the pod's own: a process has no network namespace. */
  readonly ports: { readonly app: number; readonly envoy: number; readonly admin: number };
  /** Folder below which the pod's mount paths lie: a process has no mount namespace. */
  readonly root: string;
}

export interface PlacedExample {
  readonly pod: Pod;
  readonly configMaps: ConfigMaps;
}

/** The example's pod and ConfigMap, moved to where local processes can run them. */
export async function placedExample({ module, ports, root }: Placement): Promise<PlacedExample> {
  const moved = (text: string) =>
    text
      .replaceAll("/etc/envoy", join(root, "etc/envoy"))
      .replaceAll("8080", String(ports.app))
      .replaceAll("10000", String(ports.envoy))
      .replaceAll("9901", String(ports.admin))
      .replaceAll("0.0.0.0", "127.0.0.1")
      .replaceAll("registry.example/filters/response-headers:1.0", module);
  const configMap = parse(moved(await exampleManifest("configmap"))) as {
    metadata: { name: string };
    data: Record<string, string>;
  };
  return {
    pod: parse(moved(await exampleManifest("pod"))) as Pod,
    configMaps: { [configMap.metadata.name]: configMap.data },
  };
}

/** The image of a container of the example. */
export function imageOf(pod: Pod, name: string): string {
  const container = pod.spec.containers.find((candidate: Container) => candidate.name === name);
  if (container?.image === undefined) throw new Error(`the example has no container ${name}`);
  return container.image;
}
