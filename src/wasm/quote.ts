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
  return cut.replace(/[\p{C}\p{Zl}\p{Zp}"\\]/gu, character => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`);
}
