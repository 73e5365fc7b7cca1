import { parse } from "yaml";
import type { Refusal } from "../decision/refusal.ts";
import type { Pod } from "../kube/pod.ts";
import type { ProxyContainer } from "./data-plane.ts";
import { locked } from "./detour.ts";

/** What kuma-init goes by, where the operator has it in a ConfigMap: Kuma's injection writes it over any that was there. */
const CONFIG = "traffic.kuma.io/transparent-proxy-config";
/** kuma-dp's own port, on which it answers for the application's probes. */
const PROBE_PORT = "9001";
const EXCLUDED = "traffic.kuma.io/exclude-inbound-ports=";
const IPV4 = "kuma.io/transparent-proxying-ip-family-mode=ipv4";

/** What makes redirection, or checks what the node's CNI made. */
export const KUMA_INIT = ["kuma-init", "kuma-validation"];
const COMMAND = /^\/usr\/bin\/kumactl install transparent-proxy(-validator)?$/;
/** Its arguments that leave nothing out. */
const ARGUMENTS: readonly RegExp[] = [
  /^--(verbose|redirect-all-dns-traffic)(=true)?$/,
  /^--(config-file|config|transparent-proxy-config)=\/tmp\/(\.kumactl|transparent-proxy\/base\/config\.yaml)$/,
  /^--(redirect-(dns|inbound|outbound)|validation-server)-port=\d{1,5}$/,
];

/** What an operator lets be left out of redirection, by the annotations that he allows. */
interface Allowed {
  readonly ports: readonly string[];
  readonly families: readonly string[];
}

/**
 * Refuses what redirects less than all that arrives. Kuma leaves alone a pod that has a container kuma-sidecar already, and who
 * wrote that may have written the rest, too: so it is read, not believed.
 * @param allowedAnnotations "key=value" of those that are the mesh's own
 */
export function refuseRedirection(
  pod: Pod,
  { uid }: ProxyContainer,
  allowedAnnotations: readonly string[],
): Refusal | null {
  const ports = allowedAnnotations.flatMap(text =>
    text.startsWith(EXCLUDED) ? text.slice(EXCLUDED.length).split(",") : [],
  );
  const families = allowedAnnotations.includes(IPV4) ? ["dualstack", "ipv4"] : ["dualstack"];
  const allowed = { ports: [PROBE_PORT, ...ports], families };
  return refuseInit(pod, uid, allowed) ?? refuseConfig(pod.metadata.annotations?.[CONFIG], uid, allowed);
}

function refuseInit({ spec }: Pod, uid: number, { ports, families }: Allowed): Refusal | null {
  const init = spec.initContainers?.find(({ name }) => KUMA_INIT.includes(name));
  if (init === undefined) {
    return locked(`there is no container ${KUMA_INIT.join(" or ")}: nothing leads traffic to the proxy`);
  }
  if (!COMMAND.test((init.command ?? []).join(" "))) {
    return locked(`container ${init.name} has a command that is not Kuma's`);
  }
  const own = [`--kuma-dp-user=${uid}`, ...families.map(family => `--ip-family-mode=${family}`)];
  const unknown = (init.args ?? []).find(
    argument =>
      !ARGUMENTS.some(pattern => pattern.test(argument)) && !own.includes(argument) && !excludesOnly(argument, ports),
  );
  if (unknown === undefined) return null;
  return locked(`container ${init.name} has argument ${unknown}, which may lead around the proxy`);
}

function excludesOnly(argument: string, ports: readonly string[]): boolean {
  const flag = "--exclude-inbound-ports=";
  return (
    argument.startsWith(flag) &&
    argument
      .slice(flag.length)
      .split(",")
      .every(port => ports.includes(port))
  );
}

/** Members that may stand in the configuration (pkg/transparentproxy/config), of the whole, of `redirect` and of `inbound`. */
const MEMBERS = [
  ["cniMode", "comments", "dropInvalidPackets", "ipFamilyMode", "kumaDPUser", "log", "redirect"],
  ["retry", "storeFirewalld", "verbose", "wait", "waitInterval"],
].flat();
const REDIRECT_MEMBERS = ["dns", "inbound", "outbound", "vnet"];
const INBOUND_MEMBERS = ["enabled", "excludePorts", "insertRedirectInsteadOfAppend", "port"];

function refuseConfig(text: string | undefined, uid: number, { ports, families }: Allowed): Refusal | null {
  if (text === undefined) return null;
  const config = mappingOf(readYaml(text));
  const redirect = mappingOf(config?.["redirect"]);
  const inbound = mappingOf(redirect?.["inbound"]);
  if (!config || !redirect || !inbound) return locked(`annotation ${CONFIG} can't be read`);
  // Kuma reads members whatever their case is.
  const unknown = [
    ...Object.keys(config).filter(key => !MEMBERS.includes(key)),
    ...Object.keys(redirect).filter(key => !REDIRECT_MEMBERS.includes(key)),
    ...Object.keys(inbound).filter(key => !INBOUND_MEMBERS.includes(key)),
  ];
  const left = portsOf(inbound["excludePorts"]).filter(port => !ports.includes(port));
  const found = [
    ...unknown.map(key => `has ${key}`),
    ...(inbound["enabled"] === true ? [] : ["redirects nothing inbound"]),
    ...(left.length === 0 ? [] : [`leaves out ports ${left.join(", ")}`]),
    ...(families.includes(String(config["ipFamilyMode"])) ? [] : [`is for ${config["ipFamilyMode"]}`]),
    ...(String(config["kumaDPUser"]) === String(uid) ? [] : [`leaves out user ${config["kumaDPUser"]}`]),
  ];
  return found.length === 0 ? null : locked(`annotation ${CONFIG} ${found.join(", ")}`);
}

function portsOf(value: unknown): string[] {
  const ports = Array.isArray(value) ? value : String(value ?? "").split(",");
  return ports.map(port => String(port).trim()).filter(port => port !== "");
}

function mappingOf(value: unknown): Readonly<Record<string, unknown>> | null {
  return typeof value === "object" && value !== null && !Array.isArray(value)
    ? (value as Readonly<Record<string, unknown>>)
    : null;
}

function readYaml(text: string): unknown {
  try {
    return parse(text, { maxAliasCount: 0 });
  } catch {
    return null;
  }
}
