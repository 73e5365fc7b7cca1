import { BootstrapError } from "./bootstrap-error.ts";
import { fieldOf, isUnset, type SourceList, type SourceMap, type SourceNode, textOf } from "./source-node.ts";
import { pathText, type SourceStep } from "./source-value.ts";
import { configuredType, httpManagerIn } from "./type-names.ts";

/** An HTTP connection manager of the bootstrap. */
export interface HttpManager {
  /** The filter, for people: "static_resources.listeners[0].filter_chains[0].filters[1]". */
  readonly path: string;
  /** The manager's own fields: typed_config, or the value of a TypedStruct. */
  readonly config: readonly SourceStep[];
  /** Its http_filters. Managers that share an alias share the node. */
  readonly filters: SourceList;
  readonly filtersPath: readonly SourceStep[];
}

/** What was seen beside managers, for the message that none was found. */
interface Sighting {
  readonly listener: string;
  readonly filters: string[];
}

interface Place {
  readonly map: SourceMap;
  readonly steps: readonly SourceStep[];
}

/**
 * Every HTTP connection manager of the static listeners (bootstrap.proto, listener.proto: filter_chains,
 * default_filter_chain and api_listener).
 * @throws BootstrapError DynamicListeners, NoHttpConnectionManager, Unsupported, DuplicateField
 */
export function findHttpManagers(root: SourceMap): readonly HttpManager[] {
  const bootstrap: Place = { map: root, steps: [] };
  refuseDynamicListeners(bootstrap);
  const resources = under(bootstrap, "static_resources");
  const listeners = resources.flatMap(place => under(place, "listeners"));
  const sightings: Sighting[] = [];
  const managers = listeners.flatMap(listener => {
    const name = textOf(fieldOf(listener.map, "name", pathText(listener.steps))?.use.node) ?? pathText(listener.steps);
    const sighting: Sighting = { listener: name, filters: [] };
    sightings.push(sighting);
    return managersOf(listener, sighting);
  });
  if (managers.length === 0) throw noneFound(sightings);
  return managers;
}

function refuseDynamicListeners(bootstrap: Place): void {
  for (const place of under(bootstrap, "dynamic_resources")) {
    for (const name of ["lds_config", "lds_resources_locator"]) {
      const field = fieldOf(place.map, name, pathText(place.steps));
      if (!field || isUnset(field.use.node)) continue;
      throw dynamic(`${pathText(place.steps)}.${field.key}`, "its listeners come from a control plane or another file");
    }
  }
}

function dynamic(path: string, what: string): BootstrapError {
  return new BootstrapError(
    "DynamicListeners",
    `the bootstrap sets ${path}: ${what}, so they can't be edited here. ` +
      "Only listeners written out under static_resources.listeners can",
  );
}

function managersOf(listener: Place, sighting: Sighting): readonly HttpManager[] {
  const where = pathText(listener.steps);
  const discovery = fieldOf(listener.map, "fcds_config", where);
  if (discovery) throw dynamic(`${where}.${discovery.key}`, "its filter chains come from elsewhere");
  const chains = [...under(listener, "filter_chains"), ...under(listener, "default_filter_chain")];
  const network = chains.flatMap(chain => under(chain, "filters")).map(filter => networkManager(filter, sighting));
  const api = under(listener, "api_listener").map(place => manager(place, "api_listener", place.steps, sighting));
  return [...network, ...api].filter(found => found !== null);
}

function networkManager(filter: Place, sighting: Sighting): HttpManager | null {
  const where = pathText(filter.steps);
  const discovery = fieldOf(filter.map, "config_discovery", where);
  if (discovery) throw dynamic(`${where}.${discovery.key}`, "its network filters come from elsewhere");
  return manager(filter, "typed_config", filter.steps, sighting);
}

function manager(holder: Place, field: string, path: readonly SourceStep[], sighting: Sighting): HttpManager | null {
  const typed = fieldOf(holder.map, field, pathText(holder.steps));
  if (!typed) return null;
  const steps = [...holder.steps, typed.key];
  const found = httpManagerIn(typed.use.node, pathText(steps));
  if (!found) {
    sighting.filters.push(configuredType(typed.use.node, pathText(steps)) ?? "a filter without @type");
    return null;
  }
  const inStruct = found.where !== pathText(steps);
  const config = inStruct ? [...steps, "value"] : steps;
  const list = found.fields && fieldOf(found.fields, "http_filters", found.where);
  const filters = httpFilters(list?.use.node, found.where);
  return { path: pathText(path), config, filters, filtersPath: [...config, list?.key ?? "http_filters"] };
}

function httpFilters(node: SourceNode | undefined, where: string): SourceList {
  if (node?.kind === "list" && node.items.length > 0) return node;
  const problem =
    node?.kind === "map"
      ? "has one http filter that is not in a list: write http_filters as a list"
      : "has no http_filters, so nothing answers its requests: it needs at least a router, " +
        "{name: envoy.filters.http.router, typed_config: {…router.v3.Router}}";
  throw new BootstrapError("Unsupported", `the HTTP connection manager at ${where} ${problem}`);
}

/** The maps under a field, whether it holds one or a list: Envoy takes a lone message for a list of one. */
function under(place: Place, name: string): readonly Place[] {
  const field = fieldOf(place.map, name, pathText(place.steps));
  if (!field) return [];
  const steps = [...place.steps, field.key];
  const node = field.use.node;
  if (node.kind === "map") return [{ map: node, steps }];
  if (node.kind === "scalar") return [];
  return node.items.flatMap((item, index) =>
    item.use.node.kind === "map" ? [{ map: item.use.node, steps: [...steps, index] }] : [],
  );
}

function noneFound(sightings: readonly Sighting[]): BootstrapError {
  const seen = sightings.map(
    ({ listener, filters }) => `listener ${listener} has ${filters.length > 0 ? filters.join(", ") : "no filters"}`,
  );
  return new BootstrapError(
    "NoHttpConnectionManager",
    "no network filter with the type envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager " +
      `was found in static_resources.listeners (filter_chains, default_filter_chain, api_listener): ${
        seen.length > 0 ? abridge(seen) : "there are no static listeners"
      }`,
  );
}

function abridge(parts: readonly string[]): string {
  const shown = parts.slice(0, 10).map(part => (part.length > 300 ? `${part.slice(0, 300)}…` : part));
  return shown.join("; ") + (parts.length > shown.length ? `; and ${parts.length - shown.length} more` : "");
}
