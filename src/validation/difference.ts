/** A member's name in a message, where a stranger may have chosen it. */
const NAME_SHOWN = 64;

/**
 * Where a JSON value first differs from the wanted one: a path such as "securityContext.runAsUser" or "args[0]".
 * It names the place and no value, which may be a secret. Goes no deeper than the wanted value does.
 * @returns null where they are the same; "" where they differ as wholes
 */
export function difference(found: unknown, wanted: unknown): string | null {
  if (found === wanted) return null;
  if (!isStructure(found) || !isStructure(wanted) || Array.isArray(found) !== Array.isArray(wanted)) return "";
  for (const key of new Set([...Object.keys(wanted), ...Object.keys(found)])) {
    const below = difference(own(found, key), own(wanted, key));
    if (below === null) continue;
    const name = key.slice(0, NAME_SHOWN);
    const place = Array.isArray(wanted) ? `[${name}]` : name;
    return below === "" || below.startsWith("[") ? place + below : `${place}.${below}`;
  }
  return null;
}

function isStructure(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null;
}

function own(structure: Readonly<Record<string, unknown>>, key: string): unknown {
  return Object.hasOwn(structure, key) ? structure[key] : undefined;
}
