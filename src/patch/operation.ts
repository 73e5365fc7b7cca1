/** A JSON Patch operation (RFC 6902) of the kinds we use. */
export type Operation =
  | { readonly op: "add"; readonly path: string; readonly value: unknown }
  | { readonly op: "replace"; readonly path: string; readonly value: unknown }
  | { readonly op: "remove"; readonly path: string };

/** A JSON Pointer (RFC 6901) from its reference tokens, escaped. */
export function pointer(...tokens: readonly (string | number)[]): string {
  let text = "";
  for (const token of tokens) text += `/${typeof token === "number" ? token : escaped(token)}`;
  return text;
}

function escaped(token: string): string {
  return /[~/]/.test(token) ? token.replaceAll("~", "~0").replaceAll("/", "~1") : token;
}
