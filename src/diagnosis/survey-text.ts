import { printable } from "../printable.ts";
import type { FilterReport, PodReport, PodState } from "./pod-report.ts";
import { type Cell, type Color, type Terminal, tableText } from "./table.ts";

const DIGEST_SHOWN = 12;
/** Problems that are told at length; all of them are in the table and in JSON. */
const TOLD = 20;

const colors: Readonly<Partial<Record<PodState, Color>>> = { Mounted: "green", Failed: "red", Uninjected: "red" };

/** Whether something is wrong with a pod that somebody has to do something about. */
export function isWrong({ state }: PodReport): boolean {
  return state === "Failed" || state === "Uninjected";
}

/** Reports for people: a table, what is wrong at length, and a summary. */
export function surveyText(
  reports: readonly PodReport[],
  {
    terminal,
    withNamespace,
    now,
  }: { readonly terminal: Terminal; readonly withNamespace: boolean; readonly now: Date },
): string {
  if (reports.length === 0) return "no pods with filters\n";
  const titles = [...(withNamespace ? ["NAMESPACE"] : []), "POD", "STATE", "FILTERS", "PLAN", "AGE"];
  const rows = reports.map((report): Cell[] => [
    ...(withNamespace ? [{ text: report.namespace }] : []),
    { text: report.pod },
    stateCell(report),
    { text: report.filters.map(filterText).join(", ") || "-" },
    { text: report.plan?.slice(0, DIGEST_SHOWN) ?? "-" },
    { text: ageText(report.created, now) },
  ]);
  const told = reports.filter(report => isWrong(report) || report.outdated !== null);
  const paragraphs = told.slice(0, TOLD).map(problemText);
  const rest = told.length > TOLD ? [`… and ${told.length - TOLD} more`] : [];
  const more = [...paragraphs, ...rest, summaryText(reports)].join("\n");
  return `${tableText([titles.map(text => ({ text })), ...rows], terminal)}\n${more}\n`;
}

function stateCell({ state, code, outdated }: PodReport): Cell {
  const text = `${state}${code === null ? "" : `(${code})`}${outdated === null ? "" : " Outdated"}`;
  const color = outdated !== null && state === "Mounted" ? "yellow" : colors[state];
  return color === undefined ? { text } : { text, color };
}

function filterText({ name, digest }: FilterReport): string {
  return digest === null ? name : `${name}@${digest.replace(/^sha256:/, "").slice(0, DIGEST_SHOWN)}`;
}

function problemText({ namespace, pod, state, code, detail, outdated }: PodReport): string {
  const place = printable(`${namespace}/${pod}`);
  const outcome = `${state}${code === null ? "" : `(${code})`}`;
  const problem = isWrong({ state } as PodReport) ? [`${outcome}: ${detail}`] : [];
  const difference = outdated === null ? [] : [`Outdated: ${printable(outdated)}; create it anew to have that`];
  return `${place}: ${[...problem, ...difference].join("\n  ")}`;
}

/** "3 pods: 2 mounted, 1 uninjected; 1 outdated". */
export function summaryText(reports: readonly PodReport[]): string {
  const counts = new Map<PodState, number>();
  for (const { state } of reports) counts.set(state, (counts.get(state) ?? 0) + 1);
  const parts = [...counts].map(([state, count]) => `${count} ${state.toLowerCase()}`);
  const outdated = reports.filter(report => report.outdated !== null).length;
  const pods = `${reports.length} pod${reports.length === 1 ? "" : "s"}`;
  return `${pods}: ${parts.join(", ")}${outdated > 0 ? `; ${outdated} outdated` : ""}`;
}

/** As kubectl shows it: the largest unit alone. */
export function ageText(created: string, now: Date): string {
  const seconds = Math.floor((now.getTime() - Date.parse(created)) / 1000);
  if (!Number.isFinite(seconds)) return "-";
  if (seconds < 120) return `${Math.max(0, seconds)}s`;
  if (seconds < 2 * 3600) return `${Math.floor(seconds / 60)}m`;
  if (seconds < 48 * 3600) return `${Math.floor(seconds / 3600)}h`;
  return `${Math.floor(seconds / 86_400)}d`;
}
