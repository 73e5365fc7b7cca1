import type { Container, Pod } from "../../src/kube/pod.ts";

/** A pod with other metadata, or with one of its containers changed. */
export function changed(
  { metadata, spec }: Pod,
  {
    annotations = {},
    labels = {},
    container,
  }: {
    /** undefined takes one away. */
    readonly annotations?: Readonly<Record<string, string | undefined>>;
    readonly labels?: Readonly<Record<string, string>>;
    readonly container?: { readonly name: string } & Partial<Container>;
  },
): Pod {
  const change = (containers: readonly Container[] | null | undefined) =>
    (containers ?? []).map(one => (one.name === container?.name ? { ...one, ...container } : one));
  const written = Object.entries({ ...metadata.annotations, ...annotations }).flatMap(([key, value]) =>
    value === undefined ? [] : [[key, value] as const],
  );
  return {
    metadata: { ...metadata, labels: { ...metadata.labels, ...labels }, annotations: Object.fromEntries(written) },
    spec: { ...spec, containers: change(spec.containers), initContainers: change(spec.initContainers) },
  };
}
