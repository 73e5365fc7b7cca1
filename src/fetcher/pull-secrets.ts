import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Credential } from "../oci/credentials.ts";
import { type DockerAuth, dockerCredentials, readDockerConfig, readDockercfg } from "../oci/docker-config.ts";
import type { PlanPullSecrets } from "../plan/plan.ts";

/** Both types of Secrets that hold one, by how their files end. */
const FORMS = [
  { ending: ".json", read: readDockerConfig },
  { ending: ".legacy.json", read: readDockercfg },
] as const;

/**
 * The credentials in the pod's pull secrets. A secret that doesn't exist is passed over, as the kubelet does; one that
 * can't be read is said and passed over, since another may do.
 * @param log One line for people, each; never anything that stands in a secret.
 */
export function pullSecretCredentials(
  secrets: PlanPullSecrets | null,
  log: (line: string) => void,
): (registry: string, repository: string) => readonly Credential[] {
  const configs: (readonly DockerAuth[])[] = [];
  for (const [index, name] of (secrets?.names ?? []).entries()) {
    const found = firstOf(join((secrets as PlanPullSecrets).folder, String(index)));
    if (found === null) {
      log(`pull secret ${name}: does not exist, or holds no docker configuration`);
      continue;
    }
    try {
      configs.push(found.read(found.text, `pull secret ${name}`));
    } catch (error) {
      log(`pull secret ${name}: passed over: ${error instanceof Error ? error.message : "unreadable"}`);
    }
  }
  return dockerCredentials(configs);
}

function firstOf(base: string) {
  for (const { ending, read } of FORMS) {
    const text = textOf(`${base}${ending}`);
    if (text !== null) return { text, read };
  }
  return null;
}

function textOf(path: string): string | null {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return null;
  }
}
