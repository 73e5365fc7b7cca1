import { behaviourCases } from "./behaviour.ts";
import type { Case } from "./case.ts";
import { exportCases } from "./exports.ts";
import { foreignTypeCases } from "./foreign-types.ts";
import { formatCases } from "./format.ts";
import { importCases } from "./imports.ts";
import { memoryCases } from "./memories.ts";
import { typeCases } from "./types.ts";

/** All cases, by what they are about. */
export const cases: Readonly<Record<string, readonly Case[]>> = {
  "the binary format": formatCases,
  imports: importCases,
  exports: exportCases,
  memory: memoryCases,
  types: typeCases,
  "types that can't cross": foreignTypeCases,
  "what only a run shows": behaviourCases,
};
