import { createPrivateKey, X509Certificate } from "node:crypto";
import { FETCH_LIMIT_NAMES } from "../oci/limits.ts";
import type { RegistryClientOptions, RegistrySettings } from "../oci/options.ts";
import type { ProxySettings } from "../oci/proxy.ts";
import { readText } from "./authorities.ts";
import type { Config, RegistryConfig } from "./config.ts";
import { ConfigError } from "./error.ts";

/**
 * What the configuration says of registries, for a client in this process: with the secrets that only files hold, and
 * that no plan gets.
 * @throws ConfigError
 */
export async function registryOptions(
  config: Pick<Config, "registries" | "network" | "limits">,
): Promise<RegistryClientOptions> {
  return {
    registries: await Promise.all(config.registries.map(settingsOf)),
    limits: Object.fromEntries(FETCH_LIMIT_NAMES.map(name => [name, config.limits[name]])),
    privateAddresses: config.network.privateAddresses,
    proxy: await proxyOf(config.network.proxy),
  };
}

async function settingsOf(registry: RegistryConfig, index: number): Promise<RegistrySettings> {
  const { host, plainHttp, insecureTls, ca, mirrors, clientCertFile, clientKeyFile } = registry;
  const settings = { host, plainHttp, insecureTls, ca, mirrors };
  if (clientCertFile === undefined || clientKeyFile === undefined) return settings;
  const place = `registries.${index}`;
  const certificate = await readText(clientCertFile, `${place}.clientCertFile`);
  const key = await readText(clientKeyFile, `${place}.clientKeyFile`);
  return { ...settings, clientCertificate: checkedPair(certificate, key, place) };
}

function checkedPair(certificate: string, key: string, place: string): { certificate: string; key: string } {
  let fits: boolean;
  try {
    fits = new X509Certificate(certificate).checkPrivateKey(createPrivateKey(key));
  } catch {
    // The parser's own message could quote what it read.
    throw new ConfigError("Invalid", `${place}: clientCertFile and clientKeyFile must be PEM, the key unencrypted`);
  }
  if (fits) return { certificate, key };
  throw new ConfigError("Invalid", `${place}: clientKeyFile is not the key of clientCertFile`);
}

async function proxyOf({
  http,
  https,
  no,
  credentialsFile,
}: Config["network"]["proxy"]): Promise<ProxySettings | null> {
  if (http === undefined && https === undefined) return null;
  const pair = credentialsFile && (await readText(credentialsFile, "network.proxy.credentialsFile")).trim();
  const whole = (text: string | undefined) => (text === undefined ? null : pair ? withCredentials(text, pair) : text);
  return { http: whole(http), https: whole(https), no };
}

function withCredentials(text: string, pair: string): string {
  const colon = pair.indexOf(":");
  if (colon < 1) throw new ConfigError("Invalid", "network.proxy.credentialsFile must hold user:password");
  const url = new URL(text);
  url.username = encodeURIComponent(pair.slice(0, colon));
  url.password = encodeURIComponent(pair.slice(colon + 1));
  return url.href;
}
