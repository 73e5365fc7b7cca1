import { readFile } from "node:fs/promises";
import { ConfigError } from "../config/error.ts";
import { messageOf } from "../error.ts";
import { policyName } from "../trust/policy.ts";
import { parsePolicies } from "../trust/policy-file.ts";
import type { FoundPolicy } from "./policy-set.ts";

/**
 * Reads the operator's files of policies, the same documents as the cluster's.
 * @throws {ConfigError} Unusable, naming the setting: with a policy that can't be read, nothing is to start
 */
export async function readPolicyFiles(paths: readonly string[]): Promise<readonly FoundPolicy[]> {
  const files = await Promise.all(paths.map((path, index) => readPolicyFile(path, `policy.files.${index}`)));
  return files.flat();
}

async function readPolicyFile(path: string, setting: string): Promise<readonly FoundPolicy[]> {
  try {
    return parsePolicies(await readFile(path, "utf8"), path).map(policy => ({
      name: policyName(policy),
      namespace: policy.metadata.namespace ?? null,
      policy,
    }));
  } catch (error) {
    throw new ConfigError("Unusable", `can't use ${setting}: ${messageOf(error)}`, { cause: error });
  }
}
