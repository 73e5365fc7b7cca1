import { messageOf } from "../error.ts";
import type { ResourceRequirements } from "../kube/pod.ts";
import { canonicalQuantity, milliUnits } from "../kube/quantity.ts";
import { parseReference } from "../oci/reference.ts";
import { REPOSITORY_PATTERN_RULE, readRepositoryPattern } from "../oci/repository-pattern.ts";
import { formatEnvoyVersion, parseEnvoyVersion } from "../wasm/envoy-version.ts";
import { NEVER_ADDED } from "./added-environment.ts";
import type { Config } from "./config.ts";

/** What a schema can't say of a configuration: each problem names the place and what would be right. */
export function configProblems(config: Config): string[] {
  return [
    ...misspeltHosts(config),
    ...misspeltRepositories(config),
    ...wrongVersion(config),
    ...exceededLimits(config.fetcher.resources),
    ...smallVolume(config),
    ...keysWithoutSigner(config),
    ...dangerousEnvironment(config),
  ];
}

/** The configuration with quantities as the API server stores them. */
export function canonicalConfig(config: Config): Config {
  const { requests, limits } = config.fetcher.resources;
  const canonical = (list: Readonly<Record<string, string>> = {}) =>
    Object.fromEntries(Object.entries(list).map(([name, amount]) => [name, canonicalQuantity(amount)]));
  const resources = { requests: canonical(requests), limits: canonical(limits) };
  const maxResources = canonical(config.fetcher.maxResources);
  const volume = { ...config.volume, sizeLimit: canonicalQuantity(config.volume.sizeLimit) };
  const envoy = { version: formatEnvoyVersion(parseEnvoyVersion(config.envoy.version)) };
  return { ...config, envoy, volume, fetcher: { ...config.fetcher, resources, maxResources } };
}

/** Registries are looked up as references spell them, so another spelling would never be found. */
function misspeltHosts({ registries }: Config): string[] {
  return registries.flatMap(({ host }, index) => {
    const right = canonicalHost(host);
    if (right === host) return [];
    const advice =
      right === null
        ? "write a host as references do: with a dot or a port, without scheme and path"
        : `write ${right}`;
    return [`registries.${index}.host is ${JSON.stringify(host)}: ${advice}`];
  });
}

/** So are repositories, and one that is never found would leave its namespaces without credentials. */
function misspeltRepositories({ registryCredentials }: Config): string[] {
  return registryCredentials.flatMap(({ repositories }, index) =>
    repositories
      .filter(repository => readRepositoryPattern(repository) === null)
      .map(
        repository =>
          `registryCredentials.${index}.repositories has ${JSON.stringify(repository)}: ${REPOSITORY_PATTERN_RULE}`,
      ),
  );
}

function canonicalHost(host: string): string | null {
  try {
    const { registry } = parseReference(`${host}/repository`);
    // What has neither dot nor port is read as a user of Docker Hub.
    return registry === "docker.io" && !host.endsWith("docker.io") ? null : registry;
  } catch {
    return null;
  }
}

function wrongVersion({ envoy }: Config): string[] {
  try {
    const { major } = parseEnvoyVersion(envoy.version);
    return major === 1 ? [] : [`envoy.version is ${envoy.version}: there is no such release of Envoy`];
  } catch (error) {
    return [`envoy.version: ${messageOf(error)}`];
  }
}

/** Only signatures that somebody makes can be verified: every pod would be denied. */
function keysWithoutSigner({ plan }: Config): string[] {
  if (plan.signingKeyFile !== null || plan.verificationKeyFiles.length === 0) return [];
  return ["plan.verificationKeyFiles names keys, but there is no plan.signingKeyFile: name the key that signs"];
}

function dangerousEnvironment({ fetcher }: Config): string[] {
  return fetcher.allowedEnvironment
    .filter(name => NEVER_ADDED.test(name))
    .map(name => `fetcher.allowedEnvironment has ${name}, by which other code or another plan would run: leave it out`);
}

function exceededLimits({ requests = {}, limits = {} }: ResourceRequirements): string[] {
  return Object.entries(requests).flatMap(([name, request]) => {
    const limit = limits[name];
    if (limit === undefined || (milliUnits(request) ?? 0n) <= (milliUnits(limit) ?? 0n)) return [];
    return [`fetcher.resources requests ${request} of ${name}, which is more than its limit ${limit}`];
  });
}

/** A volume on which not even one module fits would have every pod evicted. */
function smallVolume({ volume, limits }: Config): string[] {
  const bytes = (milliUnits(volume.sizeLimit) ?? 0n) / 1000n;
  if (bytes >= BigInt(limits.moduleBytes)) return [];
  return [
    `volume.sizeLimit ${volume.sizeLimit} is less than limits.moduleBytes, ${limits.moduleBytes}: one module must fit`,
  ];
}
