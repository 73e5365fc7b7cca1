import { type Refusal, refuse } from "../decision/refusal.ts";
import { type AttachedFilter, HTTP_ONLY, slotLabel } from "./data-plane.ts";
import { HTTP_ONLY_SLOT } from "./istio-slots.ts";

/** How the object of a slot stands in the cluster. */
export type SlotState = "Installed" | "Missing" | "Altered";

/** What an operator has installed of a mesh's slots. */
export interface MeshSlotSettings {
  /** How many filters a pod may have in each phase of each direction. */
  readonly slots: number;
  /** Whether namespaces may let pass what is not HTTP. */
  readonly allowTcp: boolean;
}

/** The slots that a pod fills. */
export interface PodSlots {
  readonly slots: readonly string[];
  /** With the guard of pods that take nothing but HTTP, where it is for this one. */
  readonly needed: readonly string[];
  /** By which the mesh's objects select the pod. */
  readonly labels: Readonly<Record<string, string>>;
}

export function podSlots(filters: readonly AttachedFilter[], tcpAllowed: boolean): PodSlots {
  const slots = filters.map(({ slot }) => slot);
  const httpOnly = !tcpAllowed && slots.some(slot => slot.startsWith("in-"));
  return {
    slots,
    needed: httpOnly ? [...slots, HTTP_ONLY_SLOT] : slots,
    labels: {
      ...Object.fromEntries(slots.map(slot => [slotLabel(slot), "true"])),
      ...(httpOnly ? { [HTTP_ONLY]: "true" } : {}),
    },
  };
}

/** @param mesh as its settings are called: "istio" for istio.allowTcp */
export function refuseTcp(tcpAllowed: boolean, { allowTcp }: MeshSlotSettings, mesh: string): Refusal | null {
  if (!tcpAllowed || allowTcp) return null;
  return refuse(
    "TcpForbidden",
    `annotation wasmount.dev/tcp=allow: what is not HTTP would pass unfiltered; the operator's setting is ${mesh}.allowTcp`,
  );
}

/**
 * Refuses slots that are not there, or not as they are installed: their filters would be passed by.
 * @param object what the object of a slot is called, with its kind
 */
export function refuseSlots(
  { slots, needed }: PodSlots,
  { slots: installed }: MeshSlotSettings,
  mesh: string,
  state: (slot: string) => SlotState,
  object: (slot: string) => string,
): Refusal | null {
  const beyond = slots.find(slot => numberOf(slot) > installed);
  if (beyond !== undefined) {
    const least = Math.max(...slots.map(numberOf));
    return refuse(
      "SlotsExhausted",
      `slot ${beyond} is asked for, and ${installed} are installed for each phase and direction: the operator's setting ${mesh}.slots (of the chart) must be ${least} at least`,
    );
  }
  for (const slot of needed) {
    const found = state(slot);
    if (found === "Installed") continue;
    const how = found === "Missing" ? "is missing" : "is not as wasmount's chart installs it";
    return refuse("SlotNotInstalled", `${object(slot)} ${how}: the pod would run unfiltered`);
  }
  return null;
}

function numberOf(slot: string): number {
  return Number(slot.slice(-2));
}
