import { BootstrapError } from "./bootstrap-error.ts";
import { type FilterChain, filterChains } from "./filter-chains.ts";
import { type Place, under } from "./place.ts";
import { fieldOf, isUnset, type SourceMap, textOf } from "./source-node.ts";
import { pathText, type SourceStep } from "./source-value.ts";
import { configuredType, httpManagerIn } from "./type-names.ts";

/** An HTTP connection manager of the bootstrap. */
export interface HttpManager {
  /** The filter, for people: "static_resources.listeners[0].filter_chains[0].filters[1]". */
  readonly path: string;
  /** The manager's own fields: typed_config, or the value of a TypedStruct. */
  readonly config: readonly SourceStep[];
  /** All that its requests may pass; the first is its http_filters. */
  readonly chains: readonly FilterChain[];
}

/** What was seen beside managers, for the message that none was found. */
interface Sighting {
  readonly listener: string;
  readonly filters: string[];
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
  if (!found.fields)
    throw new BootstrapError("Unsupported", `${found.where} is no mapping: write the manager's fields out`);
  return { path: pathText(path), config, chains: filterChains({ map: found.fields, steps: config }) };
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
