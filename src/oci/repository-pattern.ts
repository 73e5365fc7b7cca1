import { formatReference, parseReference } from "./reference.ts";

/** Repositories of one registry: "registry.example/team/*", "registry.example/shared/**", "registry.example/one/filter". */
export interface RepositoryPattern {
  readonly registry: string;
  /** "*" stands for one segment, "**" as the last for one or more. */
  readonly segments: readonly string[];
}

export const REPOSITORY_PATTERN_RULE =
  'write registry/repository as references do, without tag; "*" stands for one whole segment, "/**" at the end for ' +
  "everything below";

/**
 * Reads a pattern of repositories; null for what is none, or is not in the one spelling of references: it would never
 * be found.
 */
export function readRepositoryPattern(text: string): RepositoryPattern | null {
  const [registry = "", ...segments] = text.split("/");
  if (segments.slice(0, -1).includes("**") || registry.includes("*")) return null;
  const example = segments.map(segment => (segment === "**" ? "x/x" : segment === "*" ? "x" : segment));
  const name = [registry, ...example].join("/");
  try {
    const parsed = parseReference(name);
    const isName = parsed.tag === null && parsed.digest === null && formatReference(parsed) === name;
    return isName ? { registry, segments } : null;
  } catch {
    return null;
  }
}

export function servesRepository(pattern: RepositoryPattern, registry: string, repository: string): boolean {
  if (pattern.registry !== registry) return false;
  const open = pattern.segments.at(-1) === "**";
  const wanted = open ? pattern.segments.slice(0, -1) : pattern.segments;
  const found = repository.split("/");
  const longEnough = open ? found.length > wanted.length : found.length === wanted.length;
  return longEnough && wanted.every((segment, index) => segment === "*" || segment === found[index]);
}
