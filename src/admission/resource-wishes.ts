import { type OrRefusal, refuse } from "../decision/refusal.ts";
import type { ResourceRequirements } from "../kube/pod.ts";
import { canonicalQuantity, milliUnits } from "../kube/quantity.ts";
import { PREFIX } from "./key.ts";
import { quote, type Written } from "./written.ts";

const NAMES = ["cpu", "memory", "ephemeral-storage"];
const ALLOWED = `JSON such as {"requests":{"cpu":"20m"},"limits":{"memory":"128Mi"}} is allowed, with ${NAMES.join(", ")}`;

/** Reads the annotation `resources`: ResourceRequirements (core/v1) as JSON, quantities as the API server stores them. */
export function readResources(written: Written): OrRefusal<ResourceRequirements> {
  const wishes = readWishes(written.value);
  if (typeof wishes !== "string") return wishes;
  const annotation = `annotation ${PREFIX}resources=${quote(written.value)} on ${written.where}`;
  return refuse("BadValue", `${annotation}: ${wishes}; ${ALLOWED}`);
}

/** The wishes, or what is wrong with them. */
function readWishes(text: string): ResourceRequirements | string {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return "it is not JSON";
  }
  if (!isObject(value)) return "it is not an object";
  const lists: Record<string, Readonly<Record<string, string>>> = {};
  for (const [list, amounts] of Object.entries(value)) {
    if (list !== "requests" && list !== "limits") return `${quote(list)} is not a member that a fetcher can have`;
    const read = isObject(amounts) ? readAmounts(list, amounts) : `${list} is not an object`;
    if (typeof read === "string") return read;
    lists[list] = read;
  }
  return lists;
}

function readAmounts(list: string, amounts: Readonly<Record<string, unknown>>): Record<string, string> | string {
  const canonical: Record<string, string> = {};
  for (const [name, amount] of Object.entries(amounts)) {
    if (!NAMES.includes(name)) return `${quote(name)} in ${list} is not a resource that a fetcher can have`;
    const text = typeof amount === "number" ? String(amount) : amount;
    if (typeof text !== "string" || milliUnits(text) === null || /[eE]\d/.test(text)) {
      return `${quote(String(amount))} in ${list} is not a quantity`;
    }
    canonical[name] = canonicalQuantity(text);
  }
  return canonical;
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
