import type { Config } from "../config/config.ts";
import type { Plan, PlanNetwork, PlanRegistry } from "../plan/plan.ts";

/**
 * How the fetcher is to speak to registries, by the operator's configuration. Member by member, so that nothing which
 * the configuration learns to hold ends up in a plan unless it is put there: plans are readable. What is as it is for
 * any registry is left out.
 */
export function registryTerms({
  registries,
  network,
}: Pick<Config, "registries" | "network">): Pick<Plan, "registries" | "network"> {
  const reached = networkTerms(network);
  return {
    registries: registries.map(
      ({ host, plainHttp, insecureTls, ca, mirrors }): PlanRegistry => ({
        host,
        plainHttp,
        ...(insecureTls ? { insecureTls } : {}),
        ...(ca === undefined ? {} : { ca }),
        ...(mirrors.length === 0 ? {} : { mirrors }),
      }),
    ),
    ...(reached ? { network: reached } : {}),
  };
}

function networkTerms({ privateAddresses, proxy: { http, https, no } }: Config["network"]): PlanNetwork | null {
  const proxy = http === undefined && https === undefined ? null : { http: http ?? null, https: https ?? null, no };
  return privateAddresses === "Deny" && proxy === null ? null : { privateAddresses, proxy };
}
