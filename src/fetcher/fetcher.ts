import { type FilterFile, filterFile, filterVersion, modulePath, slotModulePath } from "../envoy/filter-file.ts";
import { messageOf } from "../error.ts";
import type { DataPlaneName, Plan, PlanFilter } from "../plan/plan.ts";
import { printable } from "../printable.ts";
import { allowedCapabilities } from "../wasm/capabilities.ts";
import { FetchError } from "./error.ts";
import { fetchVerifiedModule, type ImageSource, type VerifiedModule, writeNoopModule } from "./module.ts";
import { type ModuleSummary, seconds } from "./summary.ts";
import { Volume } from "./volume.ts";

/** The data planes whose objects name the path of a module. */
const BY_PATH: ReadonlySet<DataPlaneName> = new Set<DataPlaneName>(["consul", "gloo"]);

export interface Executed {
  readonly modules: readonly ModuleSummary[];
  /** Files that were looked at at the end, and are right. */
  readonly files: number;
  /** The filters whose module could not be had and that a module which does nothing stands in for, with the reason. */
  readonly open: readonly string[];
  /** The port of Envoy's administration interface; null where no bootstrap names one. */
  readonly adminPort: number | null;
}

/**
 * Executes a plan: modules first, then the filter files that name them, then the Envoy configuration that names those,
 * and a last look at all of it. Whatever fails, fails the whole: the proxy starts only after this has returned.
 * @param log One line for people, each.
 * @param stop The pod is to end.
 * @throws RegistryError, FetchError, BootstrapError
 */
export async function executePlan(
  plan: Plan,
  registry: ImageSource,
  log: (line: string) => void,
  stop: AbortSignal,
): Promise<Executed> {
  const volume = new Volume(plan.root);
  volume.open();
  try {
    return await executeOn(volume, plan, registry, log, stop);
  } finally {
    // Where it failed, there may still be files that are being finished; why it failed is what counts.
    await volume.settled().catch(() => {});
  }
}

async function executeOn(
  volume: Volume,
  plan: Plan,
  registry: ImageSource,
  log: (line: string) => void,
  stop: AbortSignal,
): Promise<Executed> {
  const modules = await fetchModules(plan, registry, volume, log, stop);
  // Filter files are brought to disk together with the modules that they name, and have their own names after those.
  const named = volume.settled();
  named.catch(() => {});
  for (const filter of plan.filters) {
    const module = modules.get(imageOf(filter));
    if (module === undefined) throw new Error(`no module was fetched for ${filter.name}`);
    const file = filterFile(fileOf(plan, filter, module));
    volume.later(volume.write(volume.path("filters", `${filter.slot}.yaml`), file, named));
    if (BY_PATH.has(plan.dataPlane)) {
      await named;
      volume.link(slotModulePath(plan.root, filter.slot), modulePath(plan.root, module.sha256), module.sha256);
    }
    log(`filter ${filter.name} fills slot ${filter.slot}`);
  }
  let adminPort: number | null = null;
  if (plan.bootstrap) {
    // Late, because it is half of all code, and Istio's sidecars have nothing to be edited.
    const { writeBootstrap } = await import("./bootstrap.ts");
    const edited = writeBootstrap(plan, plan.bootstrap, volume);
    adminPort = edited.adminPort;
    log(`edited ${plan.bootstrap.source}: ${edited.managers.join(", ")}`);
  }
  const open = plan.filters.flatMap(filter => {
    const problem = modules.get(imageOf(filter))?.problem;
    return problem === undefined ? [] : [`${filter.name} (${problem})`];
  });
  return {
    modules: [...modules].map(([image, module]) => summaryOf(plan, image, module)),
    files: await volume.seal(),
    open,
    adminPort,
  };
}

function fileOf({ root, envoyVersion }: Plan, filter: PlanFilter, { sha256, rootIds }: VerifiedModule): FilterFile {
  return {
    slot: filter.slot,
    name: filter.name,
    rootId: filter.rootId ?? rootIds[0] ?? "",
    config: filter.config,
    moduleSha256: sha256,
    root,
    envoyVersion,
    runtimeFailure: filter.runtimeFailure,
    allowedCapabilities: filter.capabilities && allowedCapabilities(filter.capabilities),
  };
}

function summaryOf(plan: Plan, image: string, module: VerifiedModule): ModuleSummary {
  const { sha256, size, source, milliseconds, passed } = module;
  const filters = plan.filters.filter(filter => imageOf(filter) === image);
  return {
    filters: filters.map(({ name }) => name),
    versions: filters.map(filter => filterVersion(fileOf(plan, filter, module))),
    digest: filters[0]?.digest ?? "",
    sha256,
    bytes: size,
    seconds: seconds(milliseconds),
    source,
    ...(passed.length > 0 && { verified: passed }),
  };
}

/**
 * Every module once, all at the same time; the first failure stops the rest, unless all filters of the module may do
 * without it.
 */
async function fetchModules(
  plan: Plan,
  registry: ImageSource,
  volume: Volume,
  log: (line: string) => void,
  stop: AbortSignal,
): Promise<Map<string, VerifiedModule>> {
  const wanted = Map.groupBy(plan.filters, imageOf);
  const abort = new AbortController();
  const fetched = await Promise.allSettled(
    [...wanted].map(async ([image, filters]) => {
      try {
        const users = filters as [PlanFilter, ...PlanFilter[]];
        return [image, await fetchVerifiedModule(plan, users, registry, volume, log, abort.signal)] as const;
      } catch (error) {
        if (!abort.signal.aborted && mayDoWithout(filters, error, stop)) {
          const problem = printable(messageOf(error));
          for (const { name } of filters) log(`FILTER ${name} DOES NOTHING, on-failure is open: ${problem}`);
          return [image, { ...(await writeNoopModule(volume)), problem }] as const;
        }
        abort.abort(error);
        throw error;
      }
    }),
  );
  // The failure that came first is the reason; those that follow it are its aborts.
  if (abort.signal.aborted) throw abort.signal.reason;
  return new Map(fetched.flatMap(result => (result.status === "fulfilled" ? [result.value] : [])));
}

/** A volume that can't be written and a pod that ends are no reasons to go on without a filter. */
function mayDoWithout(filters: readonly PlanFilter[], error: unknown, stop: AbortSignal): boolean {
  const spoilt = error instanceof FetchError && error.code !== "BadModule" && error.code !== "Untrusted";
  return !stop.aborted && !spoilt && filters.every(({ onFailure }) => onFailure === "open");
}

function imageOf({ repository, digest }: Plan["filters"][number]): string {
  return `${repository}@${digest}`;
}
