import type { NamedDataPlane } from "../config/named-data-plane.ts";
import type { DataPlane } from "./data-plane.ts";
import { envoyDataPlane } from "./envoy.ts";
import { envoyGatewayDataPlane } from "./envoy-gateway.ts";
import { glooDataPlane } from "./gloo.ts";
import { higressDataPlane } from "./higress.ts";
import { type IstioSettings, istioDataPlane } from "./istio.ts";

/** What an operator has. */
export interface OperatorsDataPlanes {
  /** null where there is no Istio. */
  readonly istio: IstioSettings | null;
  readonly named: readonly NamedDataPlane[];
}

const ADAPTERS: Readonly<Partial<Record<NamedDataPlane, DataPlane>>> = {
  "envoy-gateway": envoyGatewayDataPlane,
  gloo: glooDataPlane,
  higress: higressDataPlane,
};

/** All that an operator can name. */
export const namedDataPlanes: readonly DataPlane[] = Object.values(ADAPTERS);

/** The data planes of an installation, in the order of `chooseProxy`: plain Envoy takes any name, and comes last. */
export function dataPlanesOf({ istio, named }: OperatorsDataPlanes): readonly DataPlane[] {
  const meshes = istio === null ? [] : [istioDataPlane(istio)];
  return [...meshes, ...named.flatMap(name => ADAPTERS[name] ?? []), envoyDataPlane];
}
