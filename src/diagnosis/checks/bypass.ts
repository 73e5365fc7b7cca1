import { bypassState } from "../bypass.ts";
import type { Check } from "../check.ts";
import { finding } from "../finding.ts";

export const bypassCheck: Check = {
  name: "no bypass",
  async run({ cluster }) {
    const { objects } = await bypassState(cluster);
    return objects.flatMap(({ object, state, mark }) => {
      const bypassed = state === "Partly" || (state === "Bypassed" && (mark !== null || object.includes("Webhook")));
      if (!bypassed) return [];
      const part = state === "Partly" ? "in part, " : "";
      const who = mark === null ? "nobody says why" : `since ${mark.since} by ${mark.by}: ${mark.reason}`;
      return [finding("BypassActive", object, `bypassed ${part}${who}`)];
    });
  },
};
