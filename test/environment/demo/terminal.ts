import { createTwoFilesPatch } from "diff";
import { stringify } from "yaml";

const colours = { green: 32, red: 31, cyan: 36, dim: 2, bold: 1 } as const;

/** Text in a colour, where the output is a terminal that wants colours. */
export function paint(colour: keyof typeof colours, text: string): string {
  const wanted =
    process.env["FORCE_COLOR"] !== undefined || (process.stdout.isTTY && process.env["NO_COLOR"] === undefined);
  return wanted ? `\u001b[${colours[colour]}m${text}\u001b[0m` : text;
}

/** Numbered steps, each with the time it took. */
export class Steps {
  #number = 0;

  async run<Value>(title: string, action: () => Promise<Value>, outcome: (value: Value) => string): Promise<Value> {
    this.#number += 1;
    process.stdout.write(`${paint("bold", `${this.#number}. ${title}`)}\n`);
    const started = performance.now();
    const value = await action();
    const seconds = ((performance.now() - started) / 1000).toFixed(1);
    process.stdout.write(`   ${outcome(value)} ${paint("dim", `(${seconds} s)`)}\n`);
    return value;
  }
}

export function detail(line: string): void {
  process.stdout.write(`   ${paint("dim", line)}\n`);
}

/** Two objects as YAML, as a unified diff in colours. Long strings, such as the plan's parts, are shortened. */
export function objectDiff(before: unknown, after: unknown): string {
  const [old, changed] = [before, after].map(object => stringify(object, shorten, { lineWidth: 0 })) as [
    string,
    string,
  ];
  const lines = createTwoFilesPatch("pod", "pod, patched", old, changed, undefined, undefined, { context: 2 })
    .split("\n")
    .slice(3);
  return lines.map(line => `   ${paint(colourOf(line), line)}`).join("\n");
}

function colourOf(line: string): keyof typeof colours {
  if (line.startsWith("+")) return "green";
  if (line.startsWith("-")) return "red";
  return line.startsWith("@@") ? "cyan" : "dim";
}

function shorten(_key: unknown, value: unknown): unknown {
  if (typeof value !== "string" || value.length <= 160) return value;
  return `${value.slice(0, 60)}… (${value.length} characters)`;
}
