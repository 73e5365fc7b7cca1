import type { ModuleReport, ReportedImport, ReportedMemory } from "./check.ts";
import type { Problem } from "./problem.ts";
import { visible } from "./quote.ts";

/** Lines of one heading; the rest is in the JSON form. */
const mostLines = 200;
const labelWidth = 10;

/**
 * A report for people: the verdict, what the module is, and each reason why it is refused. Ends with a newline.
 * @param subject what the module is called, such as its path
 * @param envoy the Envoy release that the verdict is for, as "1.40"
 */
export function reportText(subject: string, report: ModuleReport, envoy: string): string {
  const { problems } = report;
  const reasons = problems.length === 1 ? "1 reason" : `${problems.length} reasons`;
  const verdict = report.ok ? `Envoy ${envoy} can load it` : `refused for Envoy ${envoy}, for ${reasons}`;
  return [
    `${visible(subject)}: ${verdict}`,
    ...block("size", [`${report.size} bytes`]),
    ...block("ABI", [report.abi ?? "none"]),
    ...block("memory", [report.memory ? memoryText(report.memory) : "none"]),
    ...block("imports", report.imports.map(importText)),
    ...block(
      "exports",
      report.exports.map(({ name, kind, type }) => `${visible(name)} ${typeText(kind, type)}`),
    ),
    ...block(
      "custom",
      report.customSections.map(({ name, size }) => `${visible(name)} ${size} bytes`),
    ),
    ...block("refused", problems.map(problemText)),
    "",
  ].join("\n");
}

function block(label: string, lines: readonly string[]): string[] {
  const shown = lines.length > mostLines ? lines.slice(0, mostLines) : lines;
  const all = lines.length > mostLines ? [...shown, `… and ${lines.length - mostLines} more (see --json)`] : shown;
  return all.map((line, index) => `  ${(index === 0 ? label : "").padEnd(labelWidth)}${line}`);
}

function importText({ module, name, kind, type }: ReportedImport): string {
  return `${visible(module)}.${visible(name)} ${typeText(kind, type)}`;
}

function typeText(kind: string, type: string | undefined): string {
  if (kind === "function" && type !== undefined) return type;
  return type === undefined ? `[${kind}]` : `[${kind} ${type}]`;
}

function memoryText({ initialPages, maximumPages, shared, memory64, imported }: ReportedMemory): string {
  return [
    `${initialPages} ${initialPages === 1 ? "page" : "pages"} of 64 KiB`,
    maximumPages === null ? "no maximum" : `at most ${maximumPages}`,
    ...(imported ? ["imported"] : []),
    ...(shared ? ["shared"] : []),
    ...(memory64 ? ["64-bit"] : []),
  ].join(", ");
}

function problemText({ code, message, offset }: Problem): string {
  return `${code}: ${message}${offset === undefined ? "" : ` (at byte ${offset})`}`;
}
