/**
 * Text of a stranger, made fit for a terminal, a log line or a `kubectl` message: everything that is not visible
 * (control characters, terminal sequences, direction marks, line separators) is written as an escape.
 */
export function printable(text: string): string {
  return text.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, character => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`);
}
