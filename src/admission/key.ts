import { closest, distance } from "fastest-levenshtein";

export const PREFIX = "wasmount.dev/";

/** The label that switches injection on or off, on a namespace or a pod. */
export const INJECT = `${PREFIX}inject`;
/** The label that fixes a namespace's filters: pods can neither opt out of them nor change them. */
export const LOCKED = `${PREFIX}locked`;
/** Labels that admission stamps on an injected pod. */
export const INJECTED = `${PREFIX}injected`;
export const PLAN = `${PREFIX}plan`;
/** The annotation that reports what was done. Written, never read. */
export const STATUS = `${PREFIX}status`;

/** Annotations of one filter: `wasmount.dev/<key>.<filter>`. */
export const filterKeys = [
  "module",
  "config",
  "phase",
  "order",
  "direction",
  "root-id",
  "on-failure",
  "runtime-failure",
  "capabilities",
] as const;
export type FilterKey = (typeof filterKeys)[number];

/** Annotations of the whole pod: `wasmount.dev/<key>`. */
export const podKeys = [
  "proxy-container",
  "proxy-config",
  "proxy-listeners",
  "pull-secret",
  "resources",
  "tcp",
] as const;
export type PodKey = (typeof podKeys)[number];

/** What an annotation key under our prefix means. */
export type ParsedKey =
  | { readonly kind: "filter"; readonly key: FilterKey; readonly filter: string }
  | { readonly kind: "pod"; readonly key: PodKey }
  | { readonly kind: "status" }
  | { readonly kind: "unknown"; readonly nearest: string };

/** Reads an annotation key. @returns null for keys outside our prefix. */
export function parseKey(annotation: string): ParsedKey | null {
  if (!annotation.startsWith(PREFIX)) return null;
  if (annotation === STATUS) return { kind: "status" };
  const name = annotation.slice(PREFIX.length);
  const podKey = podKeys.find(key => key === name);
  if (podKey) return { kind: "pod", key: podKey };
  const dot = name.indexOf(".");
  const filterKey = dot < 0 ? undefined : filterKeys.find(key => key === name.slice(0, dot));
  if (filterKey) return { kind: "filter", key: filterKey, filter: name.slice(dot + 1) };
  return { kind: "unknown", nearest: nearestKey(name, dot) };
}

function nearestKey(name: string, dot: number): string {
  const stem = dot < 0 ? name : name.slice(0, dot);
  const nearest = closest(stem, [...filterKeys, ...podKeys]);
  const filter = dot < 0 ? "<filter>" : name.slice(dot + 1);
  const spelled = podKeys.some(key => key === nearest) ? `${PREFIX}${nearest}` : `${PREFIX}${nearest}.${filter}`;
  const known = [...filterKeys.map(key => `${key}.<filter>`), ...podKeys].join(", ");
  return distance(stem, nearest) <= Math.max(2, stem.length / 3)
    ? `did you mean ${spelled}?`
    : `known are ${known} (each after ${PREFIX})`;
}
