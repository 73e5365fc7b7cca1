import { RegistryError } from "./error.ts";

/** Of one token: a pull needs one, a mount from another repository two. */
const MAX_SCOPES = 8;
// RFC 6749 section 3.3.
const SCOPE = /^[\x21\x23-\x5b\x5d-\x7e]{1,1024}$/;
// Distribution's token specification: resource type, name and actions; a name may have a port and so colons of its own.
const RESOURCE = /^([^:]+:.+):([^:]*)$/;

/**
 * What to ask a realm for: what we want to do and what the registry says it takes, each resource once with the actions
 * of both, in one order whoever asks.
 * @param asked "" for nothing in particular
 * @param challenged scopes parted by spaces
 * @throws {RegistryError} BadChallenge
 */
export function mergedScopes(asked: string, challenged: string | null): readonly string[] {
  const all = [asked, ...(challenged ?? "").split(" ")].filter(scope => scope !== "");
  if (all.length > MAX_SCOPES) throw bad(`the registry's challenge has more than ${MAX_SCOPES - 1} scopes`);
  if (!all.every(scope => SCOPE.test(scope))) throw bad("the registry's challenge has a scope that is malformed");
  const resources = Map.groupBy(all, scope => RESOURCE.exec(scope)?.[1] ?? scope);
  return [...resources].map(([resource, scopes]) => withActions(resource, scopes)).sort();
}

function withActions(resource: string, scopes: readonly string[]): string {
  const actions = new Set(scopes.flatMap(scope => RESOURCE.exec(scope)?.[2]?.split(",") ?? []));
  return actions.size === 0 ? resource : `${resource}:${[...actions].sort().join(",")}`;
}

function bad(message: string): RegistryError {
  return new RegistryError("BadChallenge", message);
}
