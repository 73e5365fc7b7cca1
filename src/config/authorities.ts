import { X509Certificate } from "node:crypto";
import { readFile } from "node:fs/promises";
import { certificateBlocks } from "../certs/pem.ts";
import { messageOf } from "../error.ts";
import type { Config } from "./config.ts";
import { ConfigError } from "./error.ts";

/** Plans carry them all, and fit into half a megabyte. */
export const MAX_AUTHORITIES = 128 * 1024;

/**
 * The configuration with the authorities of registries that it names as files: fetchers get their text in the plan.
 * @param name stands for the configuration in messages
 * @throws ConfigError
 */
export async function withAuthorities(config: Config, name: string): Promise<Config> {
  const registries = await Promise.all(
    config.registries.map(async (registry, index) => {
      if (registry.caFile === undefined) return registry;
      const ca = await readText(registry.caFile, `${name}: registries.${index}.caFile`);
      const problem = authorityProblem(ca);
      if (problem === null) return { ...registry, ca };
      throw new ConfigError("Invalid", `${name}: registries.${index}.caFile ${registry.caFile} ${problem}`);
    }),
  );
  const length = registries.reduce((sum, { ca = "" }) => sum + ca.length, 0);
  if (length <= MAX_AUTHORITIES) return { ...config, registries };
  throw new ConfigError("Invalid", `${name}: ${authoritiesTooLong(length)}`);
}

/** What is wrong with a text that should be the PEM of certificates and of nothing else, or null. */
export function authorityProblem(pem: string): string | null {
  // What stands here is handed to every pod.
  if (/PRIVATE KEY/.test(pem)) return "holds a private key: only certificates belong there";
  const blocks = certificateBlocks(pem);
  if (blocks.length === 0) return "holds no certificate in PEM (-----BEGIN CERTIFICATE-----)";
  try {
    for (const block of blocks) new X509Certificate(block);
    return null;
  } catch (error) {
    return `holds a certificate that can't be read: ${messageOf(error)}`;
  }
}

export function authoritiesTooLong(length: number): string {
  return `the authorities of all registries have ${length} characters, ${MAX_AUTHORITIES} fit into a plan: name only those that issue the registries' certificates`;
}

/** @throws ConfigError Unreadable */
export async function readText(path: string, name: string): Promise<string> {
  return readFile(path, "utf8").catch(error => {
    throw new ConfigError("Unreadable", `${name}: can't read ${path}: ${messageOf(error)}`, { cause: error });
  });
}
