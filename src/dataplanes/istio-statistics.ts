import type { Pod } from "../kube/pod.ts";

const STATS = "sidecar.istio.io/statsInclusionPrefixes";
/** What tells which version of a filter serves (extension_config_discovery.http_filter.<name>.version_text). */
const STATS_PREFIX = "extension_config_discovery";

/** The annotation by which a proxy of istio-agent keeps the statistics of filters, with the author's own prefixes. */
export function statisticsAnnotation({ metadata }: Pod): Readonly<Record<string, string>> {
  const prefixes = (metadata.annotations?.[STATS] ?? "").split(",").filter(prefix => prefix !== "");
  return { [STATS]: [...prefixes.filter(prefix => prefix.trim() !== STATS_PREFIX), STATS_PREFIX].join(",") };
}
