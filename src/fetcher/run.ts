import { RegistryClient } from "../oci/client.ts";
import { planFromEnvironment } from "../plan/transport.ts";
import { executePlan } from "./fetcher.ts";
import { type ExitCode, type Failure, failureOf } from "./outcome.ts";
import { pullSecretCredentials } from "./pull-secrets.ts";
import type { ModuleSummary } from "./summary.ts";

export interface Run {
  readonly exitCode: ExitCode;
  /** What whoever looks at the pod must know: one line, or "". */
  readonly line: string;
  readonly modules: readonly ModuleSummary[];
  /** The port of Envoy's administration interface; null where no bootstrap names one. */
  readonly adminPort: number | null;
  readonly milliseconds: number;
}

/** As a shell says that SIGTERM ended a program. */
const CANCELLED: Failure = { exitCode: 143, line: "wasmount-fetch: Cancelled: the pod was told to end" };

export interface RunSettings {
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly userAgent: string;
  /** One line for people, each. */
  readonly log: (line: string) => void;
  /** Ends it early: nothing unfinished stays behind. */
  readonly stop: AbortSignal;
  /** Whether the process ends with it, and connections with the process: Node takes a millisecond to close the first. */
  readonly isLast?: boolean;
}

/** One run of the fetcher, from the environment to an exit code. Never throws. */
export async function runFetcher({ environment, userAgent, log, stop, isLast = false }: RunSettings): Promise<Run> {
  const started = performance.now();
  const ended = (failure: Failure, modules: readonly ModuleSummary[], adminPort: number | null = null): Run => {
    return { ...failure, modules, adminPort, milliseconds: performance.now() - started };
  };
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
      credentials: pullSecretCredentials(plan.pullSecrets, log),
    });
    const { modules, files, open, adminPort } = await executePlan(plan, client, log, stop);
    const milliseconds = Math.round(performance.now() - started);
    log(`done: ${modules.length} module(s); ${files} file(s) looked at and right; ${milliseconds} ms`);
    const line = open.length === 0 ? "" : `wasmount-fetch: Open: does nothing: ${open.join("; ")}`;
    return ended({ exitCode: 0, line }, modules, adminPort);
  } catch (error) {
    return ended(stop.aborted ? CANCELLED : failureOf(error), []);
  } finally {
    if (!isLast) client?.close();
  }
}
