import { createInterface } from "node:readline/promises";
import { Writable } from "node:stream";
import { ImageError } from "../images/error.ts";

const MAX_PASSWORD = 64 * 1024;

/**
 * The whole standard input without the line's end. @throws {ImageError} BadFile
 */
export async function readPassword(input: AsyncIterable<Buffer | string>): Promise<string> {
  let text = "";
  for await (const chunk of input) {
    text += chunk.toString();
    if (text.length > MAX_PASSWORD)
      throw new ImageError(
        "BadFile",
        `the standard input has more than ${MAX_PASSWORD} characters, too many for a password`,
      );
  }
  const password = text.replace(/\r?\n$/, "");
  if (password === "") throw new ImageError("BadFile", "the standard input holds no password");
  return password;
}

/** Asks on the terminal. What is typed to a hidden question is not shown. */
export async function ask(question: string, hidden: boolean, signal: AbortSignal): Promise<string> {
  const { stdin, stderr } = process;
  const output = hidden ? new Writable({ write: (_chunk, _encoding, done) => done() }) : stderr;
  const terminal = createInterface({ input: stdin, output, terminal: true, historySize: 0 });
  // Only now: before this the terminal itself would show what is typed.
  stderr.write(question);
  // In raw mode the terminal sends no SIGINT: the key is ours to read.
  terminal.on("SIGINT", () => process.kill(process.pid, "SIGINT"));
  try {
    return await terminal.question("", { signal });
  } finally {
    terminal.close();
    if (hidden) stderr.write("\n");
  }
}
