import { hostFunctions } from "./host-functions.ts";
import { callbackNames } from "./module-functions.ts";

/** What only a compiler's own code calls. */
const RUNTIME = ["pthread_equal", "emscripten_notify_memory_growth"];

const environment = hostFunctions.get("env") ?? new Map();

/** The Proxy-Wasm host calls that a module can be restricted to, in Envoys of any version: by name, sorted. */
export const hostCalls: readonly string[] = [...environment.keys()].filter(name => !RUNTIME.includes(name)).sort();

/**
 * All that Envoy must be told to allow for a module that may make these host calls. Envoy's list restricts the module's
 * callbacks too: one without them turns the filter off, silently. And what compilers call to start up, WASI, reaches
 * nothing outside of the module in Envoy but clock, random numbers and the log.
 * @param calls of {@link hostCalls}
 */
export function allowedCapabilities(calls: readonly string[]): readonly string[] {
  const wasi = [...(hostFunctions.get("wasi_snapshot_preview1") ?? new Map()).keys()];
  return [...new Set([...calls, ...callbackNames, ...wasi, ...RUNTIME])].sort();
}
