import { readFileSync } from "node:fs";
import { join } from "node:path";

type Signatures = Readonly<Record<string, string>>;

/** The Proxy-Wasm ABI as Envoy's own source has it, which our tables are held against. Signatures in letters. */
export interface AbiFacts {
  readonly hostFunctions: {
    readonly env: Signatures;
    readonly envByAbi: Readonly<Record<"0.1.0" | "0.2.0" | "0.2.1", Signatures>>;
    readonly wasi: Signatures;
    readonly "wasiBefore1.39": readonly string[];
    readonly "wasiBefore1.33": readonly string[];
  };
  readonly callbacks: Readonly<Record<"all" | "0.1.0" | "0.2.x", Signatures>>;
  readonly startAndMemory: Signatures;
}

export const abiFacts: AbiFacts = JSON.parse(
  readFileSync(join(import.meta.dirname, "fixtures/abi.json"), "utf8"),
) as AbiFacts;
