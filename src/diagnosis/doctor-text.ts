import { printable } from "../printable.ts";
import type { CheckReport } from "./doctor.ts";
import type { Finding } from "./finding.ts";
import type { Color, Terminal } from "./table.ts";

const colors: Readonly<Record<CheckReport["result"], Color>> = { ok: "green", warning: "yellow", failure: "red" };
const INDENT = " ".repeat(9);

/** What was found, for people: each check, and below it what is wrong and what to do. */
export function doctorText(reports: readonly CheckReport[], terminal: Terminal): string {
  const lines = reports.flatMap(({ check, result, findings }) => [
    `${terminal.paint(colors[result], result.padEnd(INDENT.length - 2))}  ${check}`,
    ...findings.flatMap(findingLines),
  ]);
  return `${lines.join("\n")}\n\n${summary(reports)}\n`;
}

function findingLines({ code, where, what, found, remedy }: Finding): string[] {
  return [
    `${INDENT}${code}: ${printable(where)}`,
    `${INDENT}  ${what}`,
    ...(found === "" ? [] : [`${INDENT}  Found: ${printable(found)}`]),
    `${INDENT}  -> ${remedy}`,
  ];
}

function summary(reports: readonly CheckReport[]): string {
  const found = reports.flatMap(({ findings }) => findings);
  const count = (severity: Finding["severity"]) => found.filter(one => one.severity === severity).length;
  const [failures, warnings] = [count("failure"), count("warning")];
  if (found.length === 0) return `${reports.length} checks, nothing is wrong`;
  const plural = (amount: number, word: string) => `${amount} ${word}${amount === 1 ? "" : "s"}`;
  return `${reports.length} checks: ${plural(failures, "failure")}, ${plural(warnings, "warning")} (docs/doctor.md)`;
}
