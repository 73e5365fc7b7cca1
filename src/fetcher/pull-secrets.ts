import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { CredentialSource } from "../oci/credentials.ts";
import { dockerCredentials, readDockerConfig } from "../oci/docker-config.ts";
import type { PlanPullSecrets } from "../plan/plan.ts";

/**
 * The credentials in the pod's pull secrets. A secret that doesn't exist is passed over, as the kubelet does; one that
 * can't be read is said and passed over, since another may do.
 * @param log One line for people, each; never anything that stands in a secret.
 */
export async function pullSecretCredentials(
  secrets: PlanPullSecrets | null,
  log: (line: string) => void,
): Promise<CredentialSource> {
  const configs = [];
  for (const [index, name] of (secrets?.names ?? []).entries()) {
    const text = await firstOf(secretFiles(secrets as PlanPullSecrets, index));
    if (text === null) {
      log(`pull secret ${name}: does not exist, or holds no docker configuration`);
      continue;
    }
    try {
      configs.push(readDockerConfig(text, `pull secret ${name}`));
    } catch (error) {
      log(`pull secret ${name}: passed over: ${error instanceof Error ? error.message : "unreadable"}`);
    }
  }
  return dockerCredentials(configs);
}

/** Both types of Secrets that hold one. */
function secretFiles({ folder }: PlanPullSecrets, index: number): string[] {
  return [join(folder, `${index}.json`), join(folder, `${index}.legacy.json`)];
}

async function firstOf(paths: readonly string[]): Promise<string | null> {
  for (const path of paths) {
    const text = await readFile(path, "utf8").catch(() => null);
    if (text !== null) return text;
  }
  return null;
}
