import { RegistryClient } from "../oci/client.ts";
import { planFromEnvironment } from "../plan/transport.ts";
import { executePlan } from "./fetcher.ts";
import { type Failure, failureOf } from "./outcome.ts";
import { pullSecretCredentials } from "./pull-secrets.ts";

export interface Success {
  readonly exitCode: 0;
  /** What whoever looks at the pod must know: one line, or "". */
  readonly line: string;
}

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
): Promise<Failure | Success> {
  const started = performance.now();
  let client: RegistryClient | null = null;
  try {
    const { plan, hash } = planFromEnvironment(environment);
    log(`plan ${hash.slice(0, 12)}: ${plan.filters.length} filter(s) for ${plan.dataPlane} ${plan.envoyVersion}`);
    const { deadlineMs } = plan.limits;
    client = new RegistryClient({
      registries: plan.registries,
      privateAddresses: plan.network?.privateAddresses ?? "Deny",
      proxy: plan.network?.proxy ?? null,
      limits: plan.limits,
      signal: AbortSignal.any([AbortSignal.timeout(deadlineMs), stop]),
      deadlineMs,
      userAgent,
      credentials: await pullSecretCredentials(plan.pullSecrets, log),
    });
    const { modules, files, open } = await executePlan(plan, client, log, stop);
    const milliseconds = Math.round(performance.now() - started);
    log(`done: ${modules} module(s); ${files} file(s) read back and right; ${milliseconds} ms`);
    return { exitCode: 0, line: open.length === 0 ? "" : `wasmount-fetch: Open: does nothing: ${open.join("; ")}` };
  } catch (error) {
    return stop.aborted ? CANCELLED : failureOf(error);
  } finally {
    client?.close();
  }
}
