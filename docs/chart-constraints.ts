import { configSchema } from "../src/config/schema.ts";

type Schema = Readonly<Record<string, unknown>>;

const text = { type: "string" } as const;
const flag = { type: "boolean" } as const;
const name = { type: "string", minLength: 1, maxLength: 253 } as const;
const optionalName = { type: "string", maxLength: 253 } as const;
const secretKey = { type: "string", pattern: "^[-._a-zA-Z0-9]{1,253}$" } as const;
const port = { type: "integer", minimum: 1, maximum: 65535 } as const;
const dnsLabel = { type: "string", pattern: "^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$" } as const;
const duration = { type: "string", pattern: "^([0-9]+(s|m|h))+$" } as const;
const cidr = { type: "string", pattern: "^[0-9a-fA-F:.]+/[0-9]{1,3}$" } as const;
const url = { type: "string", pattern: "^(https?://[^\\s]+)?$" } as const;
const pullPolicy = { enum: ["Always", "IfNotPresent", "Never"] } as const;
/** What Kubernetes itself defines, and the API server checks. */
const kubernetes = { type: "object" } as const;
const listOf = (items: Schema) => ({ type: "array", items }) as const;
const strings = { type: "object", additionalProperties: { type: "string" } } as const;
const closed = (properties: Readonly<Record<string, Schema>>, required: readonly string[] = []) =>
  ({ type: "object", additionalProperties: false, properties, required }) as const;
const fileOf = (keyed: Schema) => closed({ name: keyed, key: name }, ["name"]);

/**
 * What a setting of the webhook's configuration may be, without what is said of it there.
 * @param path as in `registries.items.host`
 */
function setting(path: string): Schema {
  let place: Schema = configSchema;
  for (const member of path.split(".")) {
    const next = member === "items" ? place["items"] : (place["properties"] as Schema | undefined)?.[member];
    if (typeof next !== "object" || next === null) throw new Error(`the configuration has no ${path}`);
    place = next as Schema;
  }
  const { default: _default, description: _description, ...rest } = place;
  return rest;
}

const quantities = closed({
  cpu: setting("fetcher.maxResources.cpu"),
  memory: setting("fetcher.maxResources.memory"),
  "ephemeral-storage": setting("fetcher.maxResources.ephemeral-storage"),
});

/** What each value of the chart may be, by its path. Settings of the webhook are bounded as its own schema bounds them. */
export const chartConstraints: Readonly<Record<string, Schema>> = {
  "image.repository": { type: "string", pattern: "^[a-z0-9.-]+(:[0-9]+)?(/[a-z0-9._-]+)+$" },
  "image.tag": { type: "string", pattern: "^([A-Za-z0-9_][A-Za-z0-9._-]{0,127})?$" },
  "image.digest": { type: "string", pattern: "^(sha256:[0-9a-f]{64})?$" },
  "image.pullPolicy": pullPolicy,
  imagePullSecrets: listOf(closed({ name }, ["name"])),
  "fetcher.image": text,
  "fetcher.imagePullPolicy": setting("fetcher.imagePullPolicy"),
  "fetcher.imagePullSecrets": { type: "array", maxItems: 16, uniqueItems: true, items: name },
  "fetcher.resources": closed({ requests: quantities, limits: quantities }),
  "fetcher.maxResources": quantities,
  "fetcher.allowedEnvironment": setting("fetcher.allowedEnvironment"),
  replicaCount: { type: "integer", minimum: 1, maximum: 100 },
  "autoscaling.enabled": flag,
  "autoscaling.minReplicas": { type: "integer", minimum: 1, maximum: 100 },
  "autoscaling.maxReplicas": { type: "integer", minimum: 1, maximum: 100 },
  "autoscaling.targetCPUUtilizationPercentage": { type: "integer", minimum: 1, maximum: 1000 },
  "podDisruptionBudget.enabled": flag,
  "podDisruptionBudget.maxUnavailable": {
    oneOf: [
      { type: "integer", minimum: 0, maximum: 100 },
      { type: "string", pattern: "^[0-9]{1,3}%$" },
    ],
  },
  "podDisruptionBudget.unhealthyPodEvictionPolicy": { enum: ["AlwaysAllow", "IfHealthyBudget"] },
  topologySpreadConstraints: listOf(kubernetes),
  affinity: kubernetes,
  tolerations: listOf(kubernetes),
  nodeSelector: strings,
  priorityClassName: optionalName,
  podAnnotations: strings,
  podLabels: strings,
  // The hook of an uninstallation waits a little longer than this.
  terminationGracePeriodSeconds: { type: "integer", minimum: 1, maximum: 600 },
  podSecurityContext: kubernetes,
  securityContext: kubernetes,
  resources: kubernetes,
  env: listOf({ type: "object", required: ["name"] }),
  "service.annotations": strings,
  "service.port": port,
  "service.ipFamilyPolicy": { enum: ["", "SingleStack", "PreferDualStack", "RequireDualStack"] },
  "ports.admission": port,
  "ports.health": port,
  hostNetwork: flag,
  dnsPolicy: { enum: ["ClusterFirst", "ClusterFirstWithHostNet", "Default"] },
  "listen.address": setting("listen.address"),
  "listen.drainSeconds": setting("listen.drainSeconds"),
  "listen.lingerSeconds": setting("listen.lingerSeconds"),
  "listen.maxConnections": setting("listen.maxConnections"),
  "listen.maxReviewBytes": setting("listen.maxReviewBytes"),
  "networkPolicy.enabled": flag,
  "networkPolicy.apiServerCidrs": listOf(cidr),
  "networkPolicy.metricsNamespaces": listOf(dnsLabel),
  "networkPolicy.egress.enabled": flag,
  "networkPolicy.egress.apiServerPorts": { type: "array", minItems: 1, items: port },
  "networkPolicy.egress.registryCidrs": listOf(cidr),
  "networkPolicy.egress.registryPorts": { type: "array", minItems: 1, items: port },
  "webhook.failurePolicy": { enum: ["Fail", "Ignore"] },
  "webhook.timeoutSeconds": { type: "integer", minimum: 1, maximum: 30 },
  "webhook.reinvocationPolicy": { enum: ["IfNeeded", "Never"] },
  "webhook.matchConditions": {
    type: "array",
    maxItems: 63,
    items: closed({ name, expression: { type: "string", minLength: 1 } }, ["name", "expression"]),
  },
  "webhook.excludeNamespaces": listOf(dnsLabel),
  "webhook.annotations": strings,
  "webhook.clientCaConfigMap": fileOf(optionalName),
  "certificates.mode": { enum: ["self", "certManager", "provided"] },
  "certificates.certManager.issuerRef": closed({ name, kind: name, group: name }),
  "certificates.certManager.duration": duration,
  "certificates.certManager.renewBefore": duration,
  "certificates.provided.secretName": optionalName,
  "certificates.provided.caBundle": { type: "string", pattern: "^(-----BEGIN CERTIFICATE-----\\s[\\s\\S]*)?$" },
  "plan.sign": flag,
  "plan.provided.secretName": optionalName,
  "plan.provided.signingKey": secretKey,
  "plan.provided.verificationKeys": { type: "array", maxItems: 4, uniqueItems: true, items: secretKey },
  "policy.unmatched": setting("policy.unmatched"),
  "policy.fromCluster": flag,
  "policy.files": {
    type: "object",
    maxProperties: setting("policy.files")["maxItems"],
    propertyNames: { pattern: "^[a-z0-9]([-a-z0-9.]*[a-z0-9])?[.]ya?ml$" },
    additionalProperties: { type: "string" },
  },
  "reference.requireDigest": flag,
  registries: {
    type: "array",
    maxItems: setting("registries")["maxItems"],
    items: closed(
      {
        host: setting("registries.items.host"),
        plainHttp: flag,
        insecureTls: flag,
        ca: setting("registries.items.ca"),
        caConfigMap: fileOf(name),
        clientCertSecret: name,
        mirrors: {
          type: "array",
          maxItems: setting("registries.items.mirrors")["maxItems"],
          items: closed(
            {
              host: setting("registries.items.mirrors.items.host"),
              prefix: setting("registries.items.mirrors.items.prefix"),
              resolveTags: flag,
            },
            ["host"],
          ),
        },
      },
      ["host"],
    ),
  },
  registryCredentials: {
    type: "array",
    maxItems: setting("registryCredentials")["maxItems"],
    items: closed(
      {
        secret: name,
        key: name,
        namespaces: setting("registryCredentials.items.namespaces"),
        repositories: {
          ...setting("registryCredentials.items.repositories"),
          items: { type: "string", minLength: 1 },
        },
      },
      ["secret", "namespaces", "repositories"],
    ),
  },
  "network.privateAddresses": setting("network.privateAddresses"),
  "network.proxy.http": url,
  "network.proxy.https": url,
  "network.proxy.noProxy": setting("network.proxy.no"),
  "network.proxy.credentialsSecret": fileOf(optionalName),
  "failure.allowOpen": flag,
  dataPlanes: setting("dataPlanes"),
  "proxy.injectedBy": {
    type: "array",
    maxItems: setting("proxy.injectedBy")["maxItems"],
    items: closed({ label: name, value: { type: "string", maxLength: 63 } }, ["label", "value"]),
  },
  // The webhook's own pattern looks ahead, which Helm's regular expressions can't.
  "istio.enabled": setting("istio.enabled"),
  "istio.rootNamespace": setting("istio.rootNamespace"),
  "istio.slots": setting("istio.slots"),
  "istio.allowTcp": setting("istio.allowTcp"),
  "istio.proxyImages": setting("istio.proxyImages"),
  "istio.allowedAnnotations": setting("istio.allowedAnnotations"),
  "kuma.systemNamespace": setting("kuma.systemNamespace"),
  "kuma.meshes": setting("kuma.meshes"),
  "kuma.slots": setting("kuma.slots"),
  "kuma.allowTcp": setting("kuma.allowTcp"),
  "consul.watchServiceDefaults": setting("consul.watchServiceDefaults"),
  "volume.mountPath": { type: "string", pattern: "^(/[A-Za-z0-9_-][A-Za-z0-9._-]*)+$" },
  "volume.sizeLimit": setting("volume.sizeLimit"),
  "envoy.version": setting("envoy.version"),
  ...Object.fromEntries(
    Object.keys(configSchema.properties.limits.properties).map(limit => [
      `limits.${limit}`,
      setting(`limits.${limit}`),
    ]),
  ),
  "log.level": setting("log.level"),
  "controller.enabled": flag,
  "events.enabled": flag,
  "guards.enabled": flag,
  "guards.previousImages": listOf({ type: "string", minLength: 1 }),
  "metrics.serviceMonitor.enabled": flag,
  "metrics.serviceMonitor.labels": strings,
  "metrics.serviceMonitor.interval": duration,
  "metrics.serviceMonitor.scrapeTimeout": duration,
  "metrics.prometheusRule.enabled": flag,
  "metrics.prometheusRule.labels": strings,
  "metrics.prometheusRule.alertLabels": strings,
  "metrics.prometheusRule.runbookUrl": { type: "string", pattern: "^https?://[^\\s#]+$" },
  "metrics.grafanaDashboard.enabled": flag,
  "metrics.grafanaDashboard.labels": strings,
  "metrics.grafanaDashboard.annotations": strings,
  "crds.install": flag,
  "rbac.create": flag,
  "serviceAccount.create": flag,
  "serviceAccount.annotations": strings,
  "test.namespace": dnsLabel,
  "test.module": { type: "string", minLength: 1 },
  "test.acceptDenial": flag,
  "upgrade.hook": flag,
  "uninstall.hook": flag,
  extraObjects: { type: "array", items: { type: ["object", "string"] } },
};
