import { spawn } from "node:child_process";
import { once } from "node:events";
import { MAIN } from "./webhook-process.ts";

export interface TerminalOutcome {
  readonly code: number;
  /** All that the terminal showed, what it echoed included. */
  readonly shown: string;
}

/** Python has pseudo-terminals, Node has none. */
const DRIVER = `
import os, pty, sys
questions = dict(zip(sys.argv[1].split("|"), sys.argv[2].split("|")))
pid, terminal = pty.fork()
if pid == 0: os.execv(sys.argv[3], sys.argv[3:])
seen = ""
while True:
    try: data = os.read(terminal, 4096)
    except OSError: break
    if not data: break
    sys.stdout.buffer.write(data)
    seen += data.decode("utf8", "replace")
    for question in list(questions):
        if question and question in seen:
            os.write(terminal, (questions.pop(question) + "\\r").encode())
sys.stdout.flush()
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
`;

/**
 * Runs `wasmount` from source in a terminal of its own and answers its questions. Needs python3.
 * @param answers by the text that asks for them
 */
export async function runInTerminal(
  args: readonly string[],
  answers: Readonly<Record<string, string>>,
  { cwd, env }: { readonly cwd: string; readonly env: NodeJS.ProcessEnv },
): Promise<TerminalOutcome> {
  const [questions, texts] = [Object.keys(answers).join("|"), Object.values(answers).join("|")];
  const whole = ["-c", DRIVER, questions, texts, process.execPath, MAIN, ...args];
  const child = spawn("python3", whole, { cwd, env, stdio: ["ignore", "pipe", "inherit"] });
  let shown = "";
  child.stdout.setEncoding("utf8").on("data", text => {
    shown += text;
  });
  const [code] = (await once(child, "close")) as [number];
  return { code, shown };
}
