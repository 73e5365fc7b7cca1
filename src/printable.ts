/**
 * Text of a stranger, made fit for a terminal, a log line or a `kubectl` message: everything that is not visible
 * (control characters, terminal sequences, direction marks, line separators) is written as an escape.
 */
export function printable(text: string): string {
  // Most of it is ASCII, and to compile the other pattern takes longer than all of a small module's check.
  if (/^[ -~]*$/.test(text)) return text;
  return text.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, character => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`);
}
