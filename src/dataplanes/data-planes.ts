import type { NamedDataPlane } from "../config/named-data-plane.ts";
import { type ConsulSettings, consulDataPlane } from "./consul.ts";
import type { DataPlane } from "./data-plane.ts";
import { envoyDataPlane } from "./envoy.ts";
import { type IstioSettings, istioDataPlane } from "./istio.ts";
import { type KumaSettings, kumaDataPlane } from "./kuma.ts";

/** What an operator has. */
export interface OperatorsDataPlanes {
  /** null where there is no Istio. */
  readonly istio: IstioSettings | null;
  readonly named: readonly NamedDataPlane[];
  /** What is said of those that are named; left out where they are not. */
  readonly kuma?: KumaSettings;
  readonly consul?: ConsulSettings;
}

const ADAPTERS: Readonly<Partial<Record<NamedDataPlane, (operator: OperatorsDataPlanes) => DataPlane | undefined>>> = {
  kuma: ({ kuma }) => kuma && kumaDataPlane(kuma),
  consul: ({ consul }) => consul && consulDataPlane(consul),
};

/** The data planes of an installation, in the order of `chooseProxy`: plain Envoy takes any name, and comes last. */
export function dataPlanesOf(operator: OperatorsDataPlanes): readonly DataPlane[] {
  const { istio, named } = operator;
  const meshes = istio === null ? [] : [istioDataPlane(istio)];
  return [...meshes, ...named.flatMap(name => ADAPTERS[name]?.(operator) ?? []), envoyDataPlane];
}
