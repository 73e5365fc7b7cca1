import { type FetchedFrom, type ModuleSummary, type RunSummary, seconds } from "./summary.ts";

/**
 * A kubelet cuts the messages of a pod's containers to 12 KiB together, each to its share of that, from the end; a pod of
 * a dozen containers leaves 1 KiB each.
 */
const SUMMARY_BYTES = 1024;
const MARK = '{"summary":"wasmount-fetch"';
/** The fetcher's own lines: a code of its own making, and what it says. */
const LINE = /^wasmount-fetch: ([A-Za-z]{1,32}): (.{1,4096})$/;
const MAX_MODULES = 99;
/** A kubelet keeps 4096 bytes; whoever may write a pod's status may write more. */
const MESSAGE_LENGTH = 8192;

/** What a fetcher says of its end, for `kubectl describe` and for whoever watches pods. */
export interface FetcherReport {
  /** The code of its one line, or null where it left none. */
  readonly code: string | null;
  /** What stands behind the code, "" where there is none. */
  readonly text: string;
  /** null where there is no summary that can be read. */
  readonly summary: ReportedRun | null;
}

export interface ReportedRun {
  readonly bytes: number;
  readonly seconds: number;
  /** null where they were too many to be said. */
  readonly modules: readonly ReportedModule[] | null;
  /** The port of Envoy's administration interface; null where no bootstrap names one. */
  readonly adminPort: number | null;
}

export interface ReportedModule extends Pick<ModuleSummary, "digest" | "source" | "filters"> {
  /** null where they were too many to be said, or the fetcher is of a release that said none. */
  readonly versions: readonly string[] | null;
}

/**
 * The container's termination message: the line that people must see, where there is one, and of a run that ended well a
 * summary: whole, without the versions of its filter files, or without its modules.
 */
export function terminationMessage(line: string, { exitCode, milliseconds, modules, adminPort }: RunSummary): string {
  if (exitCode !== 0) return line;
  const bytes = modules.reduce((sum, module) => sum + module.bytes, 0);
  const totals = {
    summary: "wasmount-fetch",
    bytes,
    seconds: seconds(milliseconds),
    ...(adminPort !== null && { adminPort }),
  };
  const short = modules.map(({ filters, digest, source }) => ({ filters, digest, source }));
  const versioned = modules.map(({ filters, digest, source, versions }) => ({ filters, digest, source, versions }));
  const texts = [
    { ...totals, modules: versioned },
    { ...totals, modules: short },
  ].map(one => JSON.stringify(one));
  const summary = texts.find(text => Buffer.byteLength(text) <= SUMMARY_BYTES) ?? JSON.stringify(totals);
  return line === "" ? summary : `${line}\n${summary}`;
}

/**
 * Reads a termination message, which anybody may have written: of what is not as the fetcher writes it nothing is taken.
 * Where the fetcher could leave none, the end of its log is the message, with its line in the end.
 */
export function readTerminationMessage(message: string): FetcherReport {
  const lines = message.slice(0, MESSAGE_LENGTH).split("\n");
  const [, code = null, text = ""] = lines.map(line => LINE.exec(line)).findLast(found => found !== null) ?? [];
  const summary = lines.findLast(line => line.startsWith(MARK));
  return { code, text, summary: summary === undefined ? null : readSummary(summary) };
}

function readSummary(line: string): ReportedRun | null {
  try {
    const { bytes, seconds, modules, adminPort = null } = JSON.parse(line) as Readonly<Record<string, unknown>>;
    if (!isAmount(bytes) || !isAmount(seconds) || !(adminPort === null || isPort(adminPort))) return null;
    if (modules === undefined) return { bytes, seconds, modules: null, adminPort };
    if (!Array.isArray(modules) || modules.length > MAX_MODULES || !modules.every(isModule)) return null;
    const reported = modules.map(({ filters, digest, source, versions = null }) => {
      return { filters, digest, source, versions };
    });
    return { bytes, seconds, modules: reported, adminPort };
  } catch {
    return null;
  }
}

const SOURCES: readonly string[] = ["registry", "mirror", "reused", "none"] satisfies FetchedFrom[];

/** A reported module as it stands there: its versions may be left out. */
type WrittenModule = Omit<ReportedModule, "versions"> & Partial<Pick<ReportedModule, "versions">>;

function isModule(value: unknown): value is WrittenModule {
  const { filters, digest, source, versions } = (value ?? {}) as Readonly<Record<string, unknown>>;
  if (!Array.isArray(filters) || filters.length > MAX_MODULES || !filters.every(name => isShort(name, 63)))
    return false;
  return isShort(digest, 71) && SOURCES.includes(String(source)) && areVersions(versions, filters.length);
}

function areVersions(value: unknown, count: number): boolean {
  if (value === undefined) return true;
  return Array.isArray(value) && value.length === count && value.every(one => /^[0-9a-f]{64}$/.test(String(one)));
}

function isPort(value: unknown): value is number {
  return Number.isInteger(value) && Number(value) > 0 && Number(value) < 65_536;
}

function isShort(value: unknown, most: number): boolean {
  return typeof value === "string" && value.length <= most;
}

function isAmount(value: unknown): value is number {
  return typeof value === "number" && Number.isFinite(value) && value >= 0;
}
