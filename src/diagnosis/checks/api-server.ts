import type { Check } from "../check.ts";
import { finding } from "../finding.ts";

/** ValidatingAdmissionPolicy and matchConditions are stable from here on (KEP-3488, KEP-3716). */
const LEAST_MINOR = 30;

export const apiServerCheck: Check = {
  name: "the API server's version",
  async run({ cluster }) {
    const found = await cluster.get<{ readonly major?: string; readonly minor?: string; readonly gitVersion?: string }>(
      "/version",
    );
    // Managed clusters write "30+".
    const [major, minor] = [found?.major, found?.minor].map(part => Number.parseInt(part ?? "", 10));
    if (major === 1 && (minor ?? 0) < LEAST_MINOR) {
      return [finding("ServerTooOld", "the API server", `it is ${found?.gitVersion}`)];
    }
    return [];
  },
};
