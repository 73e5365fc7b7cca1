import { BootstrapError } from "./bootstrap-error.ts";
import { RESERVED_PREFIX } from "./discovered-filter.ts";
import type { HttpManager } from "./http-managers.ts";
import { pathText, type SourceStep, type SourceValue } from "./source-value.ts";
import { isAnyHttpManager, namesMessage, ROUTER_TYPE } from "./type-names.ts";

type Message = ReadonlyMap<string, SourceValue>;

/**
 * Refuses what would let requests past the filters, wherever it stands: HTTP connection managers and routers in places
 * that are not edited, and routes that say something of our filters.
 * @throws BootstrapError Unsupported
 */
export function refuseStrays(value: SourceValue, managers: readonly HttpManager[]): void {
  const configs = new Set(managers.map(({ config }) => pathText(config)));
  const chains = new Set(managers.flatMap(manager => manager.chains.map(({ steps }) => pathText(steps))));
  const visit = (node: SourceValue, steps: readonly SourceStep[]): void => {
    if (typeof node === "string") return;
    if (node instanceof Map) {
      refuseManager(node, steps, configs);
      refuseRouter(node, steps, configs, chains);
      refuseOverride(node, steps);
    }
    for (const [step, child] of node.entries()) visit(child, [...steps, step]);
  };
  visit(value, []);
}

function refuseManager(message: Message, steps: readonly SourceStep[], known: ReadonlySet<string>): void {
  if (!namesMessage(message, isAnyHttpManager)) return;
  if (known.has(pathText(steps)) || (message.has("value") && known.has(pathText([...steps, "value"])))) return;
  throw new BootstrapError(
    "Unsupported",
    `there is an HTTP connection manager at ${pathText(steps)}, where it can't be edited: ` +
      "only network filters of static listeners and api_listener can",
  );
}

/**
 * A filter that delegates (composite, filter_chain, match trees) would let a router answer before our filters run: tried
 * with composite in Envoy 1.40.
 */
function refuseRouter(
  message: Message,
  steps: readonly SourceStep[],
  managers: ReadonlySet<string>,
  chains: ReadonlySet<string>,
): void {
  if (!namesMessage(message, name => name === ROUTER_TYPE)) return;
  if (!steps.some((_, index) => managers.has(pathText(steps.slice(0, index))))) return;
  const item = steps.findLastIndex(step => typeof step === "number");
  const below = steps.slice(item + 1).join(".");
  if (CONFIG_OF_AN_ITEM.test(below) && chains.has(pathText(steps.slice(0, item)))) return;
  throw new BootstrapError(
    "Unsupported",
    `there is a router at ${pathText(steps)}, which would answer requests before they have passed all filters: a router ` +
      "can only be an item of its own at the end of http_filters, or of an upgrade_config's filters",
  );
}

const CONFIG_OF_AN_ITEM = /^(typed_?[cC]onfig|config_?[dD]iscovery\.default_?[cC]onfig)$/;

/** Routes, virtual hosts and the like may disable any filter, or give it another configuration, by its name. */
function refuseOverride(message: Message, steps: readonly SourceStep[]): void {
  const field = steps.at(-1);
  if (field !== "typed_per_filter_config" && field !== "typedPerFilterConfig") return;
  const name = [...message.keys()].find(key => key.startsWith(RESERVED_PREFIX));
  if (name === undefined) return;
  throw new BootstrapError(
    "Unsupported",
    `${pathText(steps)} says something of ${JSON.stringify(name.slice(0, 100))}: names that begin with ` +
      `${RESERVED_PREFIX} are for the filters that are put in here, which no route may change. Leave it out`,
  );
}
