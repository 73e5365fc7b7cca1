import { DNS_LABEL } from "../kube/dns-label.ts";
import { BootstrapError } from "./bootstrap-error.ts";
import type { Inserted } from "./layout.ts";

/** Where in the chain of filters: at its head, or just before the router. */
export type Phase = "first" | "last";

/** A slot of the chain that a filter file fills. */
export interface SlotEntry {
  /** A DNS label, such as "in-last-01". */
  readonly slot: string;
  /** `first`: at the chain's head. `last`: just before the terminal filter. */
  readonly phase: Phase;
}

export const WASM_TYPE_URL = "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm";
const RBAC_TYPE_URL = "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC";

/** What the names of our filters begin with, and nobody else's. */
export const RESERVED_PREFIX = "wasmount.";

/** The name of a slot's filter, in the chain, in its filter file and in Envoy's statistics. */
export function discoveredName(slot: string): string {
  return RESERVED_PREFIX + slot;
}

/** The folder of the filter files and the file of one slot, below the volume's root. */
export function filterFolder(root: string): string {
  return `${root === "/" ? "" : root}/filters`;
}
export function filterPath(root: string, slot: string): string {
  return `${filterFolder(root)}/${slot}.yaml`;
}

/**
 * The HTTP filter whose configuration Envoy reads from the slot's filter file. Until that file holds a good one,
 * `default_config` answers: an RBAC filter whose empty rules deny every request
 * (envoy.config.core.v3.ExtensionConfigSource, envoy.extensions.filters.http.rbac.v3.RBAC).
 */
export function discoveredFilter(slot: string, root: string): { readonly [key: string]: Inserted } {
  return {
    name: discoveredName(slot),
    config_discovery: {
      config_source: {
        resource_api_version: "V3",
        path_config_source: { path: filterPath(root, slot), watched_directory: { path: filterFolder(root) } },
      },
      type_urls: [WASM_TYPE_URL, RBAC_TYPE_URL],
      default_config: { "@type": RBAC_TYPE_URL, rules: {} },
    },
  };
}

/** @throws BootstrapError InvalidInput */
export function checkSlots(slots: readonly string[]): void {
  for (const slot of slots) {
    if (!DNS_LABEL.test(slot)) {
      throw new BootstrapError(
        "InvalidInput",
        `the slot ${JSON.stringify(slot)} is not a DNS label: at most 63 of a-z, 0-9 and -, not - at an end`,
      );
    }
  }
  const twice = slots.find((slot, index) => slots.indexOf(slot) !== index);
  if (twice !== undefined) throw new BootstrapError("InvalidInput", `the slot ${twice} is given twice`);
}

/** @throws BootstrapError InvalidInput */
export function checkRoot(root: string): void {
  const segments = root.split("/").slice(1);
  const clean = segments.every(segment => /^[A-Za-z0-9._-]+$/.test(segment) && segment !== "." && segment !== "..");
  if (root.startsWith("/") && clean) return;
  throw new BootstrapError(
    "InvalidInput",
    `the root ${JSON.stringify(root)} is not an absolute, clean path of letters, digits, dots, dashes and underscores`,
  );
}
