import { filterFile } from "../envoy/filter-file.ts";
import type { ModuleSource } from "../oci/client.ts";
import type { Plan } from "../plan/plan.ts";
import { writeBootstrap } from "./bootstrap.ts";
import { fetchVerifiedModule, type VerifiedModule } from "./module.ts";
import { Volume } from "./volume.ts";

export interface Executed {
  readonly modules: number;
  /** Files that were read back at the end. */
  readonly files: number;
}

/**
 * Executes a plan: modules first, then the filter files that name them, then the Envoy configuration that names those,
 * and a last look at all of it. Whatever fails, fails the whole: the proxy starts only after this has returned.
 * @param log One line for people, each.
 * @throws RegistryError, FetchError, BootstrapError
 */
export async function executePlan(plan: Plan, registry: ModuleSource, log: (line: string) => void): Promise<Executed> {
  const volume = new Volume(plan.root);
  await volume.open();
  const modules = await fetchModules(plan, registry, volume, log);
  for (const filter of plan.filters) {
    const module = modules.get(imageOf(filter));
    if (module === undefined) throw new Error(`no module was fetched for ${filter.name}`);
    const rootId = filter.rootId ?? module.rootIds[0] ?? "";
    const file = filterFile({
      slot: filter.slot,
      name: filter.name,
      rootId,
      config: filter.config,
      moduleSha256: module.sha256,
      root: plan.root,
      envoyVersion: plan.envoyVersion,
      runtimeFailure: filter.runtimeFailure,
    });
    await volume.write(volume.path("filters", `${filter.slot}.yaml`), file);
    log(`filter ${filter.name} fills slot ${filter.slot}`);
  }
  if (plan.bootstrap) {
    const managers = await writeBootstrap(plan, plan.bootstrap, volume);
    log(`edited ${plan.bootstrap.source}: ${managers.join(", ")}`);
  }
  return { modules: modules.size, files: await volume.seal() };
}

/** Every module once, all at the same time; the first failure stops the rest. */
async function fetchModules(
  plan: Plan,
  registry: ModuleSource,
  volume: Volume,
  log: (line: string) => void,
): Promise<Map<string, VerifiedModule>> {
  const wanted = new Map(plan.filters.map(filter => [imageOf(filter), filter]));
  const abort = new AbortController();
  const fetched = await Promise.allSettled(
    [...wanted].map(async ([image, filter]) => {
      try {
        return [image, await fetchVerifiedModule(plan, filter, registry, volume, log, abort.signal)] as const;
      } catch (error) {
        abort.abort(error);
        throw error;
      }
    }),
  );
  // The failure that came first is the reason; those that follow it are its aborts.
  if (abort.signal.aborted) throw abort.signal.reason;
  return new Map(fetched.flatMap(result => (result.status === "fulfilled" ? [result.value] : [])));
}

function imageOf({ repository, digest }: Plan["filters"][number]): string {
  return `${repository}@${digest}`;
}
