import { printable } from "../printable.ts";

const longest = 120;

/**
 * A name out of a module for messages and terminals: in quotes, cut, and with everything escaped that isn't
 * visible (control characters, terminal sequences, direction marks).
 */
export function quote(name: string): string {
  return `"${visible(name)}"`;
}

/** The same without the quotes. */
export function visible(name: string): string {
  const cut = name.length > longest ? `${name.slice(0, longest)}… (${name.length} characters)` : name;
  return printable(cut.replace(/["\\]/g, character => `\\u{${character.charCodeAt(0).toString(16)}}`));
}
