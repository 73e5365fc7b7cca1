import { printable } from "../printable.ts";
import type { PlanFilter, PlanMirror, PlanNetwork, PlanRegistry } from "./plan.ts";
import type { PodPlan } from "./pod-plan.ts";

const CONFIG_SHOWN = 400;

/** A plan for people. */
export function planText({ plan, hash, signature, namespace, owner }: PodPlan): string {
  const signed = signature === "" ? "not signed" : `signed by key ${signature.split(".")[0]}`;
  const lines = [
    `plan ${hash}`,
    `  signature   ${signed}`,
    `  namespace   ${namespace}`,
    `  owner       ${owner || "none"}`,
    `  data plane  ${plan.dataPlane}, Envoy ${plan.envoyVersion}`,
    `  volume      ${plan.root}`,
    ...(plan.bootstrap ? [`  bootstrap   ${plan.bootstrap.source} -> ${plan.bootstrap.target}`] : []),
    `  limits      modules of ${plan.limits.moduleBytes} bytes, ${plan.limits.deadlineMs / 1000} s for registries`,
    ...plan.registries.map(registry => `  registry    ${registryText(registry)}`),
    ...networkLines(plan.network),
    ...(plan.pullSecrets ? [`  secrets     ${plan.pullSecrets.names.join(", ")}`] : []),
    ...plan.filters.flatMap(filterLines),
  ];
  return `${lines.map(printable).join("\n")}\n`;
}

function registryText({ host, plainHttp, insecureTls, ca, mirrors = [] }: PlanRegistry): string {
  const how = [
    ...(plainHttp ? [" over plain HTTP"] : []),
    ...(insecureTls ? [" with any certificate"] : []),
    ...(ca === undefined ? [] : [" by authorities of its own"]),
    ...(mirrors.length === 0 ? [] : [`; mirrors ${mirrors.map(mirrorText).join(", ")}`]),
  ];
  return `${host}${how.join("")}`;
}

function mirrorText({ host, prefix, resolveTags }: PlanMirror): string {
  return `${host}${prefix === "" ? "" : `/${prefix}`}${resolveTags ? " (also for tags)" : ""}`;
}

function networkLines(network: PlanNetwork | undefined): string[] {
  if (network === undefined) return [];
  const { http, https, no } = network.proxy ?? { http: null, https: null, no: "" };
  return [
    ...(network.privateAddresses === "Allow" ? ["  network     any registry may have a private address"] : []),
    ...(http === null ? [] : [`  proxy       ${http} for plain HTTP`]),
    ...(https === null ? [] : [`  proxy       ${https} for HTTPS`]),
    ...(no === "" ? [] : [`  direct      ${no}`]),
  ];
}

function filterLines(filter: PlanFilter): string[] {
  const { name, slot, repository, digest, reference, rootId, config } = filter;
  return [
    "",
    `filter ${name} in slot ${slot}`,
    `  module      ${repository}@${digest}`,
    `  written as  ${reference}`,
    `  on failure  ${filter.onFailure}`,
    `  on a trap   ${filter.runtimeFailure}`,
    `  may call    ${filter.capabilities === null ? "every host function" : filter.capabilities.join(", ") || "nothing"}`,
    `  root id     ${rootId === null ? "the image's own" : JSON.stringify(rootId)}`,
    `  config      ${config === null ? "none" : shortened(config)}`,
  ];
}

function shortened(config: string): string {
  const text = JSON.stringify(config);
  return text.length > CONFIG_SHOWN ? `${text.slice(0, CONFIG_SHOWN)}… (${config.length} characters)` : text;
}
