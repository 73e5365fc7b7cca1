import { DNS_LABEL } from "../kube/dns-label.ts";
import { FETCH_LIMIT_NAMES } from "../oci/limits.ts";
import type { Rule } from "../trust/rule.ts";
import { PlanError } from "./error.ts";
import {
  boolean,
  bounded,
  choice,
  closed,
  count,
  digest,
  list,
  object,
  pattern,
  readReference,
  shape,
  short,
  text,
} from "./members.ts";
import {
  DATA_PLANE_NAMES,
  type FilterTrust,
  PLAN_SCHEMA,
  type Plan,
  type PlanBootstrap,
  type PlanFetcher,
  type PlanFilter,
  type PlanLimits,
  type PlanMirror,
  type PlanNetwork,
  type PlanPullSecrets,
  type PlanRegistry,
} from "./plan.ts";
import { MAX_RULES, readRules } from "./rule-shape.ts";

/**
 * Checks that a parsed document is a plan this fetcher can execute. What becomes part of a path or a URL is held to
 * its grammar here, so that no later step needs to distrust it.
 * @throws PlanError UnknownSchema or BadShape, naming the member.
 */
export function readPlan(document: unknown): Plan {
  const plan = object(document, "plan");
  if (plan["schema"] !== PLAN_SCHEMA) {
    throw new PlanError(
      "UnknownSchema",
      `the plan has schema ${JSON.stringify(plan["schema"])}, this fetcher executes schema ${PLAN_SCHEMA}: webhook and fetcher image must be of one release`,
    );
  }
  const root = absolute(pattern(plan["root"], /^(\/[A-Za-z0-9._-]+)+$/, "root"), "root");
  const filters = list(plan["filters"], "filters").map((value, index) => readFilter(value, `filters[${index}]`));
  const rules = plan["rules"] === undefined ? [] : readRules(plan["rules"]);
  holdTogether(filters, rules);
  return {
    schema: PLAN_SCHEMA,
    namespace: text(plan["namespace"], "namespace"),
    dataPlane: choice(plan["dataPlane"], "dataPlane", DATA_PLANE_NAMES),
    envoyVersion: pattern(plan["envoyVersion"], /^1\.\d{1,3}$/, "envoyVersion"),
    root,
    filters,
    bootstrap: plan["bootstrap"] === null ? null : readBootstrap(plan["bootstrap"], root),
    limits: readLimits(plan["limits"]),
    registries: list(plan["registries"], "registries").map((value, index) =>
      readRegistry(value, `registries[${index}]`),
    ),
    ...(plan["network"] === undefined ? {} : { network: readNetwork(plan["network"]) }),
    ...(rules.length === 0 ? {} : { rules }),
    pullSecrets: plan["pullSecrets"] === null ? null : readPullSecrets(plan["pullSecrets"]),
    fetcher: readFetcher(plan["fetcher"]),
  };
}

function readFilter(value: unknown, path: string): PlanFilter {
  const filter = object(value, path);
  return {
    name: pattern(filter["name"], DNS_LABEL, `${path}.name`),
    slot: pattern(filter["slot"], /^[a-z]+-(first|last)-\d{2}$/, `${path}.slot`),
    phase: choice(filter["phase"], `${path}.phase`, ["first", "last"]),
    repository: readReference(filter["repository"], `${path}.repository`),
    digest: digest(filter["digest"], `${path}.digest`),
    reference: readReference(filter["reference"], `${path}.reference`),
    config: filter["config"] === null ? null : text(filter["config"], `${path}.config`),
    rootId: filter["rootId"] === null ? null : text(filter["rootId"], `${path}.rootId`),
    onFailure: choice(filter["onFailure"], `${path}.onFailure`, ["block", "open"]),
    capabilities:
      filter["capabilities"] === null
        ? null
        : list(filter["capabilities"], `${path}.capabilities`).map((name, index) =>
            pattern(name, /^[a-z0-9_]{1,64}$/, `${path}.capabilities[${index}]`),
          ),
    runtimeFailure: choice(filter["runtimeFailure"], `${path}.runtimeFailure`, ["closed", "open", "reload"]),
    ...(filter["trust"] === undefined ? {} : { trust: readTrust(filter["trust"], `${path}.trust`) }),
  };
}

function readTrust(value: unknown, path: string): FilterTrust {
  const trust = closed(value, path, ["rules", "deferred"]);
  return {
    rules: bounded(trust["rules"], `${path}.rules`, 1, MAX_RULES).map((name, index) =>
      short(name, `${path}.rules[${index}]`, 1024),
    ),
    deferred: boolean(trust["deferred"], `${path}.deferred`),
  };
}

/** A rule that is missing would be a rule that demands nothing. */
function holdTogether(filters: readonly PlanFilter[], rules: readonly Rule[]): void {
  const names = new Set(rules.map(({ policy }) => policy));
  if (names.size < rules.length) throw shape("rules", "rules of different names");
  for (const [index, { trust }] of filters.entries()) {
    const missing = trust?.rules.find(name => !names.has(name));
    if (missing !== undefined)
      throw shape(`filters[${index}].trust.rules`, `names of rules of the plan, unlike ${missing}`);
  }
  const unused = rules.find(({ policy }) => !filters.some(({ trust }) => trust?.rules.includes(policy)));
  if (unused !== undefined) throw shape("rules", `rules that a filter names, unlike ${unused.policy}`);
}

function readFetcher(value: unknown): PlanFetcher {
  const fetcher = object(value, "fetcher");
  const resources = object(fetcher["resources"], "fetcher.resources");
  const amounts = (list: "requests" | "limits") => {
    if (resources[list] === undefined) return {};
    const entries = Object.entries(object(resources[list], `fetcher.resources.${list}`));
    const read = entries.map(([name, amount]) => [name, text(amount, `fetcher.resources.${list}`)] as const);
    return { [list]: Object.fromEntries(read) };
  };
  return {
    image: text(fetcher["image"], "fetcher.image"),
    imagePullPolicy: choice(fetcher["imagePullPolicy"], "fetcher.imagePullPolicy", ["Always", "IfNotPresent", "Never"]),
    ...(fetcher["imagePullSecrets"] === undefined
      ? {}
      : { imagePullSecrets: secretNames(fetcher["imagePullSecrets"], "fetcher.imagePullSecrets") }),
    resources: { ...amounts("requests"), ...amounts("limits") },
    volumeSize: text(fetcher["volumeSize"], "fetcher.volumeSize"),
  };
}

function readBootstrap(value: unknown, root: string): PlanBootstrap {
  const bootstrap = object(value, "bootstrap");
  const copy = bootstrap["copy"] === null ? null : object(bootstrap["copy"], "bootstrap.copy");
  return {
    source: absolute(bootstrap["source"], "bootstrap.source"),
    target: below(bootstrap["target"], `${root}/bootstrap`, "bootstrap.target"),
    copy: copy && {
      from: absolute(copy["from"], "bootstrap.copy.from"),
      to: below(copy["to"], `${root}/bootstrap`, "bootstrap.copy.to"),
    },
  };
}

function absolute(value: unknown, path: string): string {
  const found = pattern(value, /^\/[^\0]+$/, path);
  if (found.split("/").includes("..")) throw shape(path, "a path without ..");
  return found;
}

function below(value: unknown, folder: string, path: string): string {
  const found = absolute(value, path);
  if (!found.startsWith(`${folder}/`)) throw shape(path, `a path below ${folder}`);
  return found;
}

function readLimits(value: unknown): PlanLimits {
  const limits = object(value, "limits");
  const changed = FETCH_LIMIT_NAMES.filter(name => limits[name] !== undefined);
  return {
    ...Object.fromEntries(changed.map(name => [name, count(limits[name], `limits.${name}`)])),
    moduleBytes: count(limits["moduleBytes"], "limits.moduleBytes"),
    manifestBytes: count(limits["manifestBytes"], "limits.manifestBytes"),
    deadlineMs: count(limits["deadlineMs"], "limits.deadlineMs"),
  };
}

function readPullSecrets(value: unknown): PlanPullSecrets {
  const secrets = object(value, "pullSecrets");
  return {
    folder: absolute(secrets["folder"], "pullSecrets.folder"),
    names: secretNames(secrets["names"], "pullSecrets.names"),
  };
}

function secretNames(value: unknown, path: string): readonly string[] {
  return list(value, path).map((name, index) => pattern(name, /^[a-z0-9][-a-z0-9.]{0,252}$/, `${path}[${index}]`));
}

function readRegistry(value: unknown, path: string): PlanRegistry {
  const registry = object(value, path);
  const { insecureTls, ca, mirrors } = registry;
  return {
    host: text(registry["host"], `${path}.host`),
    plainHttp: boolean(registry["plainHttp"], `${path}.plainHttp`),
    ...(insecureTls === undefined ? {} : { insecureTls: boolean(insecureTls, `${path}.insecureTls`) }),
    ...(ca === undefined ? {} : { ca: text(ca, `${path}.ca`) }),
    ...(mirrors === undefined
      ? {}
      : {
          mirrors: list(mirrors, `${path}.mirrors`).map((one, index) => readMirror(one, `${path}.mirrors[${index}]`)),
        }),
  };
}

function readMirror(value: unknown, path: string): PlanMirror {
  const mirror = object(value, path);
  return {
    host: text(mirror["host"], `${path}.host`),
    prefix: text(mirror["prefix"], `${path}.prefix`),
    resolveTags: boolean(mirror["resolveTags"], `${path}.resolveTags`),
  };
}

function readNetwork(value: unknown): PlanNetwork {
  const network = object(value, "network");
  const proxy = network["proxy"] === null ? null : object(network["proxy"], "network.proxy");
  const url = (name: "http" | "https") =>
    proxy?.[name] === null ? null : text(proxy?.[name], `network.proxy.${name}`);
  return {
    privateAddresses: choice(network["privateAddresses"], "network.privateAddresses", ["Allow", "Deny"]),
    proxy: proxy && { http: url("http"), https: url("https"), no: text(proxy["no"], "network.proxy.no") },
  };
}
