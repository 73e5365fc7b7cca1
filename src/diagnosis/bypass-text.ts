import { printable } from "../printable.ts";
import type { BypassState } from "./bypass.ts";

const words = { InForce: "in force", Partly: "bypassed in part", Bypassed: "bypassed", Absent: "not there" } as const;

/** What is bypassed, since when and why, and what is blocked all the same. */
export function bypassText(state: BypassState): string {
  const lines = [
    headline(state),
    ...state.objects.map(({ object, state: one, mark }) => {
      const who = mark === null ? "" : `, since ${mark.since} by ${mark.by}: ${mark.reason}`;
      return `  ${object}: ${words[one]}${who}`;
    }),
    ...(state.guards.length === 0
      ? ["No guard is in force."]
      : ["API servers refuse by themselves, without the webhook:"]),
    ...state.guards.filter(({ action }) => action === "Deny").map(({ name, refuses }) => `  ${refuses} (${name})`),
  ];
  return `${lines.map(printable).join("\n")}\n`;
}

function headline({ webhook, registered, unfiltered }: BypassState): string {
  const outcome = unfiltered
    ? "pods start WITHOUT the filters that they ask for"
    : "pods that ask for filters are refused, all others are created";
  if (webhook) return `BYPASSED: API servers don't ask wasmount's webhook; ${outcome}.`;
  if (!registered) return `Not bypassed, but wasmount's webhook is not registered; ${outcome}.`;
  return "No bypass: API servers ask wasmount's webhook about pods that are switched on.";
}
