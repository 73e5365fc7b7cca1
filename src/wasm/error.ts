import { CodedError } from "../error.ts";

/**
 * Why a module could not be read to its end, or why a question about modules can't be answered:
 * - `NotWasm`: the first four bytes are not those of a Wasm binary
 * - `Component`: a binary of the component model, which Envoy can't run
 * - `UnsupportedVersion`: a core binary of another version than 1
 * - `Truncated`: the bytes end before the binary does
 * - `Malformed`: the bytes break the binary format
 * - `OverLimit`: well formed so far, but larger than this check reads
 * - `EnvoyVersion`: the Envoy version that was asked about isn't one
 */
export type WasmErrorCode =
  | "NotWasm"
  | "Component"
  | "UnsupportedVersion"
  | "Truncated"
  | "Malformed"
  | "OverLimit"
  | "EnvoyVersion";

export class WasmError extends CodedError<WasmErrorCode> {
  /** Where in the module, in bytes from its start; null where the error isn't about a place. */
  readonly offset: number | null;

  constructor(code: WasmErrorCode, message: string, offset: number | null = null) {
    super(code, message);
    this.offset = offset;
  }
}
