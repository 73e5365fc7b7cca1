import { WasmError } from "./error.ts";

/** A release of Envoy. Its patch releases offer modules the same functions. */
export interface EnvoyVersion {
  readonly major: number;
  readonly minor: number;
}

/** The newest release known, which a check presumes when it isn't told another. */
export const newestEnvoyVersion = "1.40";

/** The first release of upstream Envoy that runs Wasm modules. */
const oldest: EnvoyVersion = { major: 1, minor: 16 };

/**
 * Reads a version such as "1.40", "v1.40.2" or "1.41.0-dev". A release newer than the newest known counts as that
 * one, for Envoy has only ever added functions.
 * @throws WasmError `EnvoyVersion` for anything else, and for releases before Wasm.
 */
export function parseEnvoyVersion(text: string): EnvoyVersion {
  const match = /^v?(\d{1,4})\.(\d{1,4})(\.\d{1,4})?(-[0-9A-Za-z.-]{1,64})?$/.exec(text);
  if (!match)
    throw new WasmError(
      "EnvoyVersion",
      `${JSON.stringify(text.slice(0, 80))} is no Envoy version; write it as "1.40" or "v1.40.2"`,
    );
  const version = { major: Number(match[1]), minor: Number(match[2]) };
  if (isBefore(version, oldest))
    throw new WasmError(
      "EnvoyVersion",
      `Envoy ${formatEnvoyVersion(version)} does not run Wasm modules; the first that does is ${formatEnvoyVersion(oldest)}`,
    );
  return version;
}

/** As "1.40". */
export function formatEnvoyVersion(version: EnvoyVersion): string {
  return `${version.major}.${version.minor}`;
}

/** Whether a release came before another. */
export function isBefore(version: EnvoyVersion, other: EnvoyVersion): boolean {
  return version.major === other.major ? version.minor < other.minor : version.major < other.major;
}
