import type { DataPlane } from "./data-plane.ts";
import { envoyDataPlane } from "./envoy.ts";
import { type IstioSettings, istioDataPlane } from "./istio.ts";

/** The names that a command line takes. */
export const DATA_PLANES = ["envoy", "istio"] as const;

/**
 * The data planes of an installation, in the order of {@link chooseProxy}: plain Envoy takes any name, and comes last.
 * @param istio null where the operator has no Istio
 */
export function dataPlanesOf(istio: IstioSettings | null): readonly DataPlane[] {
  return istio === null ? [envoyDataPlane] : [istioDataPlane(istio), envoyDataPlane];
}
