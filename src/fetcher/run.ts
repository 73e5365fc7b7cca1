import { RegistryClient } from "../oci/client.ts";
import { planFromEnvironment } from "../plan/transport.ts";
import { executePlan } from "./fetcher.ts";
import { type Failure, failureOf } from "./outcome.ts";

/** As a shell says that SIGTERM ended a program. */
const CANCELLED: Failure = { exitCode: 143, line: "wasmount-fetch: Cancelled: the pod was told to end" };

/**
 * One run of the fetcher, from the environment to an exit code. Never throws.
 * @param log One line for people, each.
 * @param stop Ends it early: nothing unfinished stays behind.
 */
export async function runFetcher(
  environment: Readonly<Record<string, string | undefined>>,
  userAgent: string,
  log: (line: string) => void,
  stop: AbortSignal,
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
      signal: AbortSignal.any([AbortSignal.timeout(deadlineMs), stop]),
      deadlineMs,
      userAgent,
    });
    const { modules, files } = await executePlan(plan, client, log);
    const milliseconds = Math.round(performance.now() - started);
    log(`done: ${modules} module(s); ${files} file(s) read back and right; ${milliseconds} ms`);
    return { exitCode: 0, line: "" };
  } catch (error) {
    return stop.aborted ? CANCELLED : failureOf(error);
  } finally {
    client?.close();
  }
}
