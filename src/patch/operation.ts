/** A JSON Patch operation (RFC 6902) of the kinds we use. */
export type Operation =
  | { readonly op: "add"; readonly path: string; readonly value: unknown }
  | { readonly op: "replace"; readonly path: string; readonly value: unknown }
  | { readonly op: "remove"; readonly path: string };

/** A JSON Pointer (RFC 6901) from its reference tokens, escaped. */
export function pointer(...tokens: readonly (string | number)[]): string {
  return tokens.map(token => `/${String(token).replaceAll("~", "~0").replaceAll("/", "~1")}`).join("");
}
