import { messageOf } from "../error.ts";
import type { ResourceRequirements } from "../kube/pod.ts";
import { canonicalQuantity, milliUnits } from "../kube/quantity.ts";
import { proxyRoute } from "../oci/proxy.ts";
import { formatReference, parseReference } from "../oci/reference.ts";
import { REPOSITORY_PATTERN_RULE, readRepositoryPattern } from "../oci/repository-pattern.ts";
import { formatEnvoyVersion, parseEnvoyVersion } from "../wasm/envoy-version.ts";
import { NEVER_ADDED } from "./added-environment.ts";
import { authoritiesTooLong, authorityProblem, MAX_AUTHORITIES } from "./authorities.ts";
import type { CertificateFiles, Config, RegistryConfig } from "./config.ts";

/** What a schema can't say of a configuration: each problem names the place and what would be right. */
export function configProblems(config: Config): string[] {
  return [
    ...misspeltHosts(config),
    ...misspeltRepositories(config),
    ...contradictoryRegistries(config),
    ...wrongMirrors(config),
    ...wrongProxies(config),
    ...wrongVersion(config),
    ...exceededLimits(config.fetcher.resources),
    ...smallVolume(config),
    ...certificateSources(config),
    ...keySources(config),
    ...dangerousEnvironment(config),
    ...lateAnswers(config),
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
  return registries.flatMap(({ host, mirrors }, index) => [
    ...misspelt(host, `registries.${index}.host`),
    ...mirrors.flatMap((mirror, at) => misspelt(mirror.host, `registries.${index}.mirrors.${at}.host`)),
  ]);
}

function misspelt(host: string, place: string): string[] {
  const right = canonicalHost(host);
  if (right === host) return [];
  const advice =
    right === null ? "write a host as references do: with a dot or a port, without scheme and path" : `write ${right}`;
  return [`${place} is ${JSON.stringify(host)}: ${advice}`];
}

function contradictoryRegistries({ registries }: Config): string[] {
  const problems = registries.flatMap((registry, index) => {
    const place = `registries.${index} (${registry.host})`;
    const twice = registries.findIndex(({ host }) => host === registry.host) !== index;
    return [...(twice ? [`${place} is there twice: one entry says it all`] : []), ...tlsProblems(registry, place)];
  });
  const length = registries.reduce((sum, { ca = "" }) => sum + ca.length, 0);
  return length > MAX_AUTHORITIES ? [...problems, authoritiesTooLong(length)] : problems;
}

function tlsProblems(registry: RegistryConfig, place: string): string[] {
  const { plainHttp, insecureTls, ca, caFile, clientCertFile, clientKeyFile } = registry;
  const tls = Object.entries({ insecureTls: insecureTls || undefined, ca, caFile, clientCertFile, clientKeyFile });
  const set = tls.filter(([, value]) => value !== undefined).map(([name]) => name);
  if (plainHttp && set.length > 0) return [`${place} has plainHttp, so ${set.join(", ")} would mean nothing`];
  const problem = ca === undefined ? null : authorityProblem(ca);
  return [
    ...(problem === null ? [] : [`${place}: ca ${problem}`]),
    ...(ca !== undefined && caFile !== undefined ? [`${place} has ca and caFile: one of them`] : []),
    ...(insecureTls && (ca ?? caFile) !== undefined
      ? [`${place} has insecureTls, so its authorities mean nothing`]
      : []),
    ...((clientCertFile === undefined) === (clientKeyFile === undefined)
      ? []
      : [`${place} needs both clientCertFile and clientKeyFile`]),
  ];
}

function wrongMirrors({ registries }: Config): string[] {
  return registries.flatMap(({ host, mirrors }, index) =>
    mirrors.flatMap((mirror, at) => {
      const place = `registries.${index}.mirrors.${at}`;
      if (mirror.host === host && mirror.prefix === "") return [`${place} is the registry itself`];
      return isRepository(mirror.prefix)
        ? []
        : [
            `${place}.prefix is ${JSON.stringify(mirror.prefix)}: write the beginning of a repository's name, without "/" at its ends`,
          ];
    }),
  );
}

function isRepository(prefix: string): boolean {
  const reference = `registry.example/${prefix === "" ? "" : `${prefix}/`}repository`;
  try {
    return formatReference(parseReference(reference)) === reference;
  } catch {
    return false;
  }
}

/** Proxies stand in plans, which anybody may read who may read pods. */
function wrongProxies({ network }: Config): string[] {
  const { http, https, credentialsFile } = network.proxy;
  const problems = Object.entries({ http, https }).flatMap(([name, text]) => {
    if (text === undefined) return [];
    const place = `network.proxy.${name}`;
    const url = URL.parse(text);
    if (url === null) return [`${place} is no URL: write http://host:port`];
    if (url.username !== "" || url.password !== "") return [`${place} holds credentials: they go into credentialsFile`];
    try {
      proxyRoute({ http: text, https: null, no: "" });
      return [];
    } catch (error) {
      return [`${place}: ${messageOf(error)}`];
    }
  });
  const lonely = credentialsFile !== undefined && http === undefined && https === undefined;
  return lonely ? [...problems, "network.proxy has a credentialsFile, but no proxy"] : problems;
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

/** Which of two would serve is not for us to guess. */
function certificateSources({ tls }: Config): string[] {
  const { certFile, keyFile, self }: Partial<CertificateFiles & { readonly self: unknown }> = tls;
  const files = Object.entries({ certFile, keyFile }).filter(([, file]) => file !== undefined);
  if (self === undefined) {
    return files.length === 2
      ? []
      : ["tls needs certFile and keyFile, or self for certificates that wasmount makes itself"];
  }
  return files.map(([name]) => `tls has self and ${name}: write one source of the certificate`);
}

/** Only signatures that somebody makes can be verified: every pod would be denied. */
function keySources({ plan }: Config): string[] {
  const { signingKeyFile, verificationKeyFiles, keysSecret } = plan;
  if (keysSecret !== null) {
    const files = Object.entries({ signingKeyFile, verificationKeyFiles }).filter(([, value]) => value?.length);
    return files.map(([name]) => `plan has keysSecret and ${name}: write one source of keys`);
  }
  if (signingKeyFile !== null || verificationKeyFiles.length === 0) return [];
  return ["plan.verificationKeyFiles names keys, but there is no plan.signingKeyFile: name the key that signs"];
}

function dangerousEnvironment({ fetcher }: Config): string[] {
  return fetcher.allowedEnvironment
    .filter(name => NEVER_ADDED.test(name))
    .map(name => `fetcher.allowedEnvironment has ${name}, by which other code or another plan would run: leave it out`);
}

/** An answer of a registry must leave time to make use of it. */
function lateAnswers({ limits: { resolveSeconds, reviewSeconds } }: Config): string[] {
  if (resolveSeconds < reviewSeconds) return [];
  return [`limits.resolveSeconds is ${resolveSeconds}: write less than limits.reviewSeconds, ${reviewSeconds}`];
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
