import { createHash } from "node:crypto";
import type { Plan } from "./plan.ts";

/** What JSON can say. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

/**
 * The canonical form of a plan: JSON without white space, members sorted by UTF-16 code units (RFC 8785; the
 * plan holds no fractions, so its number rules reduce to those of JSON.stringify).
 */
export function canonicalPlan(plan: Plan): string {
  return canonicalJson(plan as unknown as Json);
}

/** The plan's hash: SHA-256 over the canonical form's UTF-8 bytes, 64 hex digits. */
export function planHash(canonical: string): string {
  return createHash("sha256").update(canonical, "utf8").digest("hex");
}

function canonicalJson(value: Json): string {
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(",")}]`;
  const members = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${members.map(([key, member]) => `${JSON.stringify(key)}:${canonicalJson(member)}`).join(",")}}`;
}
