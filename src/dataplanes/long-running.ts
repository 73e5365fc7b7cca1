import type { Container, ContainerList, Pod } from "../kube/pod.ts";

/** A container, and where in its pod it is. */
export interface PlacedContainer {
  readonly list: ContainerList;
  readonly index: number;
  readonly container: Container;
}

/** The containers that run as long as their pod does: the main ones, and then native sidecars. */
export function longRunning({ spec }: Pod): readonly PlacedContainer[] {
  const placed = (list: ContainerList) =>
    (spec[list] ?? []).map((container, index): PlacedContainer => ({ list, index, container }));
  const sidecars = placed("initContainers").filter(({ container }) => container.restartPolicy === "Always");
  return [...placed("containers"), ...sidecars];
}

/** The one of a name, which no two containers of a pod have. */
export function longRunningNamed(pod: Pod, name: string): PlacedContainer | null {
  return longRunning(pod).find(({ container }) => container.name === name) ?? null;
}
