import { printable } from "../printable.ts";
import { isLiveWrong, type LiveState, liveStateOf } from "./live-filters.ts";
import type { FilterReport, PodReport, PodState } from "./pod-report.ts";
import { type Cell, type Color, type Terminal, tableText } from "./table.ts";

const DIGEST_SHOWN = 12;
/** Problems that are told at length; all of them are in the table and in JSON. */
const TOLD = 20;

const colors: Readonly<Partial<Record<PodState, Color>>> = { Mounted: "green", Failed: "red", Uninjected: "red" };

const liveColors: Readonly<Partial<Record<LiveState, Color>>> = { serving: "green", denying: "red", differs: "red" };

/** Whether something is wrong with a pod that somebody has to do something about. */
export function isWrong(report: PodReport): boolean {
  return hasFailed(report) || isLiveWrong(report);
}

function hasFailed({ state }: PodReport): boolean {
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
  const live = reports.some(report => liveStateOf(report) !== null);
  const titles = [
    ...(withNamespace ? ["NAMESPACE"] : []),
    "POD",
    "STATE",
    ...(live ? ["LIVE"] : []),
    "FILTERS",
    "PLAN",
    "AGE",
  ];
  const rows = reports.map((report): Cell[] => [
    ...(withNamespace ? [{ text: report.namespace }] : []),
    { text: report.pod },
    stateCell(report),
    ...(live ? [liveCell(report)] : []),
    { text: report.filters.map(filterText).join(", ") || "-" },
    { text: report.plan?.slice(0, DIGEST_SHOWN) ?? "-" },
    { text: ageText(report.created, now) },
  ]);
  const told = [
    ...reports.filter(report => isWrong(report) || report.outdated !== null),
    ...reports.filter(report => !isWrong(report) && report.outdated === null && liveStateOf(report) === "unknown"),
  ];
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

function liveCell(report: PodReport): Cell {
  const state = liveStateOf(report);
  const color = state === null ? undefined : liveColors[state];
  return { text: state ?? "-", ...(color === undefined ? {} : { color }) };
}

function problemText(report: PodReport): string {
  const { namespace, pod, state, code, detail, outdated } = report;
  const place = printable(`${namespace}/${pod}`);
  const outcome = `${state}${code === null ? "" : `(${code})`}`;
  const problem = hasFailed(report) ? [`${outcome}: ${detail}`] : [];
  const difference = outdated === null ? [] : [`Outdated: ${printable(outdated)}; create it anew to have that`];
  return `${place}: ${[...problem, ...difference, ...report.filters.flatMap(liveProblems)].join("\n  ")}`;
}

function liveProblems({ name, live }: FilterReport): readonly string[] {
  switch (live?.state) {
    case "differs": {
      const versions = `Envoy serves version ${short(live.version)}, its filter file was written as ${short(live.wanted)}`;
      return [`filter ${name} differs: ${versions}`];
    }
    case "denying":
      return [`filter ${name} is denying: Envoy has loaded nothing, so that all requests are denied`];
    case "unknown":
      return [`filter ${name} is unknown: ${printable(live.why)}`];
    default:
      return [];
  }
}

function short(version: string | null): string {
  return printable(version ?? "?").slice(0, DIGEST_SHOWN);
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
