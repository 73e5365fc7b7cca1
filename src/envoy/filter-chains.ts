import { BootstrapError } from "./bootstrap-error.ts";
import { type Place, under } from "./place.ts";
import { fieldOf, type SourceList } from "./source-node.ts";
import { pathText, type SourceStep } from "./source-value.ts";

/** A list of HTTP filters that requests of an HTTP connection manager pass. */
export interface FilterChain {
  /** Chains that share an alias share the node. */
  readonly list: SourceList;
  readonly steps: readonly SourceStep[];
}

/**
 * Every chain of an HTTP connection manager: its http_filters, and the filters that an upgrade_config has of its own,
 * which requests with that `Upgrade` pass instead. Without any there, they pass the http_filters
 * (http_connection_manager.proto, UpgradeConfig.filters).
 * @param manager the manager's own fields
 * @throws BootstrapError Unsupported, DuplicateField
 */
export function filterChains(manager: Place): readonly FilterChain[] {
  const upgrades = under(manager, "upgrade_configs").flatMap(upgrade => chainUnder(upgrade, "filters") ?? []);
  const main = chainUnder(manager, "http_filters");
  if (main) return [main, ...upgrades];
  throw new BootstrapError(
    "Unsupported",
    `the HTTP connection manager at ${pathText(manager.steps)} has no http_filters, so nothing answers its requests: it ` +
      "needs at least a router, {name: envoy.filters.http.router, typed_config: {…router.v3.Router}}",
  );
}

/** Null where the field is missing or empty. */
function chainUnder(place: Place, name: string): FilterChain | null {
  const where = pathText(place.steps);
  const field = fieldOf(place.map, name, where);
  if (!field) return null;
  const { node } = field.use;
  if (node.kind === "list") return node.items.length > 0 ? { list: node, steps: [...place.steps, field.key] } : null;
  throw new BootstrapError(
    "Unsupported",
    `${where}.${field.key} is one value, not a list of filters: write it as a list`,
  );
}
