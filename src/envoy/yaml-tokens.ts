import type { CST } from "yaml";
import { BootstrapError } from "./bootstrap-error.ts";
import { MAX_DEPTH } from "./source-node.ts";

/**
 * Checks a YAML text's tokens before the library builds nodes of them: it recurses, and running out of stack inside
 * V8's regular expressions ends the whole process.
 * @throws BootstrapError NotYaml, TooLarge, Unsupported
 */
export function checkTokens(text: string, tokens: readonly CST.Token[]): void {
  const lone = /\r(?!\n)/.exec(text);
  if (lone) {
    throw yamlError(text, lone.index, "a carriage return alone is a line break to Envoy only: write \\n or \\r\\n");
  }
  if (tokens.filter(token => token.type === "document").length > 1) {
    throw new BootstrapError(
      "Unsupported",
      "the configuration holds more than one YAML document: Envoy reads the first one only, keep only that",
    );
  }
  const open: { readonly token: CST.Token; readonly depth: number }[] = tokens.map(token => ({ token, depth: 0 }));
  for (let next = open.pop(); next; next = open.pop()) {
    const { token, depth } = next;
    if (token.type === "error") throw yamlError(text, token.offset, token.message);
    if (depth > MAX_DEPTH) {
      throw new BootstrapError("TooLarge", `the configuration nests deeper than ${MAX_DEPTH} levels`);
    }
    for (const child of childrenOf(token)) open.push({ token: child, depth: depth + 1 });
  }
}

function childrenOf(token: CST.Token): readonly CST.Token[] {
  if (token.type === "document") return token.value ? [token.value] : [];
  if (!("items" in token)) return [];
  return token.items.flatMap(item => [item.key ?? [], item.value ?? []].flat());
}

/** A NotYaml error that tells line and column, both from 1. */
export function yamlError(text: string, offset: number, problem: string, cause?: unknown): BootstrapError {
  const before = text.slice(0, offset);
  const line = before.split("\n").length;
  const column = offset - before.lastIndexOf("\n");
  return new BootstrapError("NotYaml", `line ${line}, column ${column}: ${problem}`, { cause });
}
