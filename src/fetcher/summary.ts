import type { BlobOrigin } from "../oci/blob-stream.ts";

/** Where a module came from: "reused" is what an earlier run left on the volume, "none" a module that does nothing. */
export type FetchedFrom = BlobOrigin | "reused" | "none";

/** One module of a run. */
export interface ModuleSummary {
  /** The filters that use it. */
  readonly filters: readonly string[];
  /** Those of their filter files, which Envoy reports, in the same order: 64 hex digits each. */
  readonly versions: readonly string[];
  /** The image's, as the plan pins it. */
  readonly digest: string;
  /** Of the module itself, 64 hex digits. */
  readonly sha256: string;
  readonly bytes: number;
  readonly seconds: number;
  readonly source: FetchedFrom;
  /** The policies that it passed; left out where none is for it. */
  readonly verified?: readonly string[];
}

export interface RunSummary {
  readonly exitCode: number;
  readonly milliseconds: number;
  readonly modules: readonly ModuleSummary[];
  /** The port of Envoy's administration interface; null where no bootstrap names one. */
  readonly adminPort: number | null;
  /** What became of the code that was compiled when the image was built. */
  readonly compiled: string;
}

/**
 * A run in one line of JSON, for whoever collects logs. Names, digests and numbers only: nothing that a registry or a
 * secret could have written.
 */
export function summaryLine({ exitCode, milliseconds, modules, compiled }: RunSummary): string {
  const bytes = modules.reduce((sum, module) => sum + module.bytes, 0);
  const summary = { summary: "wasmount-fetch", exitCode, bytes, seconds: seconds(milliseconds), compiled, modules };
  return JSON.stringify(summary);
}

/** To the millisecond. */
export function seconds(milliseconds: number): number {
  return Math.round(milliseconds) / 1000;
}
