import type { NamedDataPlane } from "../config/named-data-plane.ts";
import { type ConsulSettings, consulDataPlane } from "./consul.ts";
import type { DataPlane } from "./data-plane.ts";
import { envoyDataPlane } from "./envoy.ts";
import { envoyGatewayDataPlane } from "./envoy-gateway.ts";
import { glooDataPlane } from "./gloo.ts";
import { higressDataPlane } from "./higress.ts";
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

type Adapter = (operator: Pick<OperatorsDataPlanes, "kuma" | "consul">) => DataPlane;

const ADAPTERS: Readonly<Record<NamedDataPlane, Adapter>> = {
  kuma: ({ kuma = NO_KUMA }) => kumaDataPlane(kuma),
  consul: ({ consul = NO_CONSUL }) => consulDataPlane(consul),
  "envoy-gateway": () => envoyGatewayDataPlane,
  gloo: () => glooDataPlane,
  higress: () => higressDataPlane,
};

const NO_KUMA: KumaSettings = {
  systemNamespace: "kuma-system",
  meshes: [],
  slots: 0,
  allowTcp: false,
  slotState: () => "Missing",
};
const NO_CONSUL: ConsulSettings = { serviceState: () => "Missing" };

/** All that an operator can name, to find their proxies where he hasn't. */
export const namedDataPlanes: readonly DataPlane[] = Object.values(ADAPTERS).map(adapter => adapter({}));

/** The data planes of an installation, in the order of `chooseProxy`: plain Envoy takes any name, and comes last. */
export function dataPlanesOf(operator: OperatorsDataPlanes): readonly DataPlane[] {
  const { istio, named } = operator;
  const meshes = istio === null ? [] : [istioDataPlane(istio)];
  return [...meshes, ...named.map(name => ADAPTERS[name](operator)), envoyDataPlane];
}
