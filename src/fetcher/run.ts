import { RegistryClient } from "../oci/client.ts";
import { planFromEnvironment } from "../plan/transport.ts";
import { executePlan } from "./fetcher.ts";
import { type Failure, failureOf } from "./outcome.ts";

/**
 * One run of the fetcher, from the environment to an exit code. Never throws.
 * @param log One line for people, each.
 */
export async function runFetcher(
  environment: Readonly<Record<string, string | undefined>>,
  userAgent: string,
  log: (line: string) => void,
): Promise<Failure | { readonly exitCode: 0; readonly line: "" }> {
  const started = performance.now();
  let client: RegistryClient | null = null;
  try {
    const { plan, hash } = planFromEnvironment(environment);
    log(`plan ${hash.slice(0, 12)}: ${plan.filters.length} filter(s) for ${plan.dataPlane} ${plan.envoyVersion}`);
    const { deadlineMs } = plan.limits;
    client = new RegistryClient({
      registries: plan.registries,
      limits: plan.limits,
      signal: AbortSignal.timeout(deadlineMs),
      deadlineMs,
      userAgent,
    });
    const { modules, files } = await executePlan(plan, client, log);
    const milliseconds = Math.round(performance.now() - started);
    log(`done: ${modules} module(s); ${files} file(s) read back and right; ${milliseconds} ms`);
    return { exitCode: 0, line: "" };
  } catch (error) {
    return failureOf(error);
  } finally {
    client?.close();
  }
}
