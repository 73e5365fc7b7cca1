import { FETCH_LIMITS, type FetchLimits } from "../oci/limits.ts";
import { NAMED_DATA_PLANES } from "./named-data-plane.ts";

/** The least and most that a number may be, with its default. */
function integer(minimum: number, maximum: number, fallback: number, description: string) {
  return { type: "integer", minimum, maximum, default: fallback, description } as const;
}

/** A member that is an object of its own: closed, so that a misspelt key is refused. */
function section(properties: Record<string, object>, required: readonly string[] = []) {
  return { type: "object", additionalProperties: false, properties, required, default: {} } as const;
}

const quantity = { type: "string", pattern: "^[0-9]{1,18}([.][0-9]{1,9})?(m|[kMGTPE]|[KMGTPE]i)?$" } as const;
const quantities = section({ cpu: quantity, memory: quantity, "ephemeral-storage": quantity });

const text = (description: string) => ({ type: "string", minLength: 1, description }) as const;

const objectName = { type: "string", pattern: "^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$" } as const;

const namespacePattern = "^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$";

const secretPattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$";

/** Of what is read from registries, at admission and by fetchers. */
const fetchLimits = {
  moduleBytes: integer(1024, 1073741824, FETCH_LIMITS.moduleBytes, "bytes of one module"),
  manifestBytes: integer(1024, 33554432, FETCH_LIMITS.manifestBytes, "bytes of one manifest or index"),
  layers: integer(1, 4096, FETCH_LIMITS.layers, "layers of one image"),
  indexEntries: integer(1, 4096, FETCH_LIMITS.indexEntries, "manifests that one index lists"),
  unpackRatio: integer(2, 1024, FETCH_LIMITS.unpackRatio, "bytes that a compressed layer unpacks to, per byte"),
  signatureManifestBytes: integer(
    1024,
    33554432,
    FETCH_LIMITS.signatureManifestBytes,
    "bytes of one manifest of signatures",
  ),
  signatures: integer(1, 256, FETCH_LIMITS.signatures, "signatures under cosign's tag of one image"),
  referrers: integer(1, 1024, FETCH_LIMITS.referrers, "referrers of one image, of whatever kind"),
  referrerPages: integer(1, 128, FETCH_LIMITS.referrerPages, "pages of one list of referrers"),
  bundleBytes: integer(1024, 33554432, FETCH_LIMITS.bundleBytes, "bytes of one Sigstore bundle"),
  payloadBytes: integer(256, 1048576, FETCH_LIMITS.payloadBytes, "bytes that one of cosign's older signatures signs"),
  tokenBytes: integer(1024, 1048576, FETCH_LIMITS.tokenBytes, "bytes of one answer with a token"),
  errorBytes: integer(256, 1048576, FETCH_LIMITS.errorBytes, "bytes that are read of a registry's error"),
  redirects: integer(1, 20, FETCH_LIMITS.redirects, "redirects of one request to a registry"),
  connections: integer(1, 64, FETCH_LIMITS.connections, "connections to one host at a time"),
} satisfies Record<keyof FetchLimits, object>;

/** JSON schema (2020-12) of the operator's configuration file. Its defaults are the product's. */
export const configSchema = {
  $schema: "https://json-schema.org/draft/2020-12/schema",
  title: "wasmount operator configuration",
  type: "object",
  additionalProperties: false,
  required: ["tls", "fetcher"],
  properties: {
    listen: section({
      address: { ...text("address that both servers listen on"), default: "0.0.0.0" },
      port: integer(
        0,
        65535,
        10250,
        "port of the HTTPS server that the API server calls (private clusters let it call this one); 0 picks a free one",
      ),
      plainPort: integer(0, 65535, 8080, "port of /livez, /readyz and /metrics; 0 picks a free one"),
      drainSeconds: integer(0, 300, 5, "seconds between turning not ready and closing, on SIGTERM"),
      lingerSeconds: integer(
        0,
        300,
        90,
        "seconds that connections without a call are left to the API servers to close, after that",
      ),
      maxConnections: integer(1, 65535, 1024, "connections of the HTTPS server at a time; others are closed at once"),
      maxReviewBytes: integer(
        8388608,
        4294967296,
        134217728,
        "bytes of the reviews under way at a time, all together; others are answered 503",
      ),
    }),
    tls: section({
      certFile: text("PEM file of the certificate chain"),
      keyFile: text("PEM file of the private key"),
      self: {
        type: "object",
        additionalProperties: false,
        required: ["dnsNames"],
        description:
          "in place of certFile and keyFile: certificates that the webhook makes itself, with an authority that it tells the registrations of",
        properties: {
          caSecret: {
            ...objectName,
            default: "wasmount-webhook-ca",
            description: "Secret of the authority, in pins.namespace; made where it is missing",
          },
          dnsNames: {
            type: "array",
            minItems: 1,
            maxItems: 16,
            uniqueItems: true,
            description: "names that API servers call the webhook by, such as wasmount-webhook.wasmount-system.svc",
            items: { type: "string", pattern: "^[a-zA-Z0-9:]([-a-zA-Z0-9.:]{0,251}[a-zA-Z0-9:])?$" },
          },
          registration: {
            ...objectName,
            default: "wasmount",
            description: "name of the MutatingWebhookConfiguration and the ValidatingWebhookConfiguration",
          },
        },
      },
      clientCaFile: {
        type: ["string", "null"],
        minLength: 1,
        default: null,
        description:
          "PEM file of the authorities of whose client certificates the HTTPS server asks for one; without it, whoever reaches the port is answered",
      },
    }),
    fetcher: section(
      {
        image: text("image of the injected init container: wasmount's own"),
        imagePullPolicy: { enum: ["Always", "IfNotPresent", "Never"], default: "IfNotPresent" },
        resources: {
          ...section({ requests: quantities, limits: quantities }),
          default: { requests: { cpu: "10m", memory: "64Mi" }, limits: { cpu: "1", memory: "256Mi" } },
        },
        maxResources: { ...quantities, default: { cpu: "2", memory: "1Gi", "ephemeral-storage": "1Gi" } },
        imagePullSecrets: {
          type: "array",
          maxItems: 16,
          uniqueItems: true,
          default: [],
          description:
            "names of pull secrets for the image, added to each injected pod; the Secrets must exist in the pods' namespaces",
          items: { type: "string", maxLength: 253, pattern: secretPattern },
        },
        allowedEnvironment: {
          type: "array",
          maxItems: 32,
          uniqueItems: true,
          default: [],
          description: "environment variables that other webhooks may add to the fetcher, such as HTTPS_PROXY",
          items: { type: "string", pattern: "^[A-Za-z_][A-Za-z0-9_]{0,127}$" },
        },
      },
      ["image"],
    ),
    volume: section({
      mountPath: {
        type: "string",
        pattern: "^(?!/(var/)?run(/|$))(/[A-Za-z0-9_-][A-Za-z0-9._-]*)+$",
        default: "/wasmount",
        description: "where the shared volume is mounted; never below a symbolic link such as /var/run",
      },
      sizeLimit: { type: "string", pattern: "^[0-9]+(Ki|Mi|Gi)$", default: "256Mi" },
    }),
    envoy: section({
      version: {
        type: "string",
        pattern: "^[0-9]+\\.[0-9]+$",
        default: "1.40",
        description: "Envoy release that modules are held to where the proxy's image names none",
      },
    }),
    plan: section({
      signingKeyFile: {
        type: ["string", "null"],
        minLength: 1,
        default: null,
        description: "PEM file of the Ed25519 private key that signs plans; without one they are not signed",
      },
      verificationKeyFiles: {
        type: "array",
        maxItems: 4,
        default: [],
        items: text("PEM file of an Ed25519 key whose signatures count beside the signing key's own"),
      },
      keysSecret: {
        type: ["string", "null"],
        pattern: objectName.pattern,
        default: null,
        description:
          "in place of those files: Secret of keys that the webhook makes and renews itself, in pins.namespace",
      },
    }),
    policy: section({
      unmatched: {
        enum: ["Deny", "Warn", "Allow"],
        default: "Warn",
        description: "what goes for an image that no WasmPolicy is for",
      },
      fromCluster: {
        type: "boolean",
        default: true,
        description:
          "whether the cluster's WasmPolicies and NamespacedWasmPolicies count; their definitions must exist",
      },
      files: {
        type: "array",
        maxItems: 32,
        default: [],
        items: text("YAML file of policies that count beside the cluster's; read at start"),
      },
    }),
    reference: section({ requireDigest: { type: "boolean", default: false } }),
    registries: {
      type: "array",
      maxItems: 64,
      default: [],
      description: "registries that are not simply HTTPS by the public CAs at a public address",
      items: section(
        {
          host: text("host, with its port where it has one"),
          plainHttp: { type: "boolean", default: false, description: "speak HTTP without TLS" },
          insecureTls: {
            type: "boolean",
            default: false,
            description: "take any certificate: credentials and tags are at the mercy of whoever is on the way",
          },
          ca: { ...text("PEM of the only authorities that vouch for it"), maxLength: 65536 },
          caFile: text("the same as a file"),
          clientCertFile: text("PEM file of the certificate that the webhook shows; fetchers have none"),
          clientKeyFile: text("PEM file of its private key"),
          mirrors: {
            type: "array",
            maxItems: 8,
            default: [],
            description: "registries that are asked first, in this order",
            items: section(
              {
                host: text("host, with its port; how it is spoken to is said by an entry of its own"),
                prefix: {
                  type: "string",
                  maxLength: 128,
                  default: "",
                  description: "stands before repositories there",
                },
                resolveTags: {
                  type: "boolean",
                  default: false,
                  description: "whether it is believed what no digest proves: tags, and lists of tags and referrers",
                },
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
      maxItems: 64,
      default: [],
      description: "credentials that tags are resolved with at admission, each for the pods of the namespaces it names",
      items: section(
        {
          file: text("docker configuration (config.json, .dockerconfigjson); credential helpers are not run"),
          namespaces: {
            type: "array",
            minItems: 1,
            maxItems: 256,
            uniqueItems: true,
            items: { type: "string", pattern: namespacePattern },
          },
          repositories: {
            type: "array",
            minItems: 1,
            maxItems: 64,
            uniqueItems: true,
            items: text("registry/repository; * for one segment, /** at the end for everything below"),
          },
        },
        ["file", "namespaces", "repositories"],
      ),
    },
    network: section({
      privateAddresses: {
        enum: ["Allow", "Deny"],
        default: "Deny",
        description: "whether a registry that is not among registries may have a private or loopback address",
      },
      proxy: section({
        http: text("URL of the proxy for plain HTTP, without credentials"),
        https: text("URL of the proxy for HTTPS, without credentials"),
        no: { type: "string", maxLength: 4096, default: "", description: "what is reached directly, as in NO_PROXY" },
        credentialsFile: text("file with user:password for the proxies, for the webhook; fetchers have none"),
      }),
    }),
    pins: section({
      namespace: {
        type: "string",
        pattern: namespacePattern,
        default: "wasmount-system",
        description: "the operator's own namespace: of records of what tags were pinned to, and of Secrets",
      },
    }),
    failure: section({
      allowOpen: {
        type: "boolean",
        default: false,
        description: "whether pods may start without a filter that can't be had, by on-failure open",
      },
    }),
    istio: section({
      enabled: { type: "boolean", default: false, description: "whether proxies of Istio get filters" },
      rootNamespace: {
        type: "string",
        pattern: namespacePattern,
        default: "istio-system",
        description: "Istio's root namespace (mesh configuration rootNamespace), where the EnvoyFilters of slots stand",
      },
      slots: integer(1, 99, 4, "filters that a pod may have in each phase of each direction: as many as are installed"),
      allowTcp: {
        type: "boolean",
        default: false,
        description:
          "whether namespaces may let pass what is not HTTP, unfiltered, by annotation wasmount.dev/tcp: allow",
      },
      proxyImages: {
        type: "array",
        maxItems: 16,
        default: [],
        description: "what the image of istio-proxy has to begin with in locked namespaces; any, where none is named",
        items: text("registry/repository, such as docker.io/istio/proxyv2:"),
      },
      allowedAnnotations: {
        type: "array",
        maxItems: 32,
        default: [],
        description:
          "annotations (key=value) about redirection that the mesh itself gives pods, and that are no detour in locked namespaces",
        items: text("such as traffic.sidecar.istio.io/includeOutboundIPRanges=10.0.0.0/8"),
      },
    }),
    dataPlanes: {
      type: "array",
      maxItems: 16,
      uniqueItems: true,
      default: [],
      description:
        "data planes beyond plain Envoy and Istio whose proxies get filters: objects of theirs have to be there before a pod is (docs/data-planes.md)",
      items: { enum: NAMED_DATA_PLANES },
    },
    kuma: section({
      systemNamespace: {
        type: "string",
        pattern: namespacePattern,
        default: "kuma-system",
        description: "the namespace of Kuma's control plane, where the MeshProxyPatches of slots stand",
      },
      meshes: {
        type: "array",
        minItems: 1,
        maxItems: 16,
        uniqueItems: true,
        default: ["default"],
        description: "the meshes that have slots: as many as are installed",
        items: { type: "string", pattern: namespacePattern },
      },
      slots: integer(1, 99, 4, "filters that a pod may have in each phase of each direction: as many as are installed"),
      allowTcp: {
        type: "boolean",
        default: false,
        description:
          "whether namespaces may let pass what is not HTTP, unfiltered, by annotation wasmount.dev/tcp: allow",
      },
    }),
    consul: section({
      watchServiceDefaults: {
        type: "boolean",
        default: true,
        description:
          "whether pods are denied whose service's ServiceDefaults does not attach their filters; without it they are warned of",
      },
    }),
    proxy: section({
      injectedBy: {
        type: "array",
        maxItems: 16,
        default: [],
        description: "labels, of a pod or its namespace, by which another webhook is told to add the proxy",
        items: section({ label: text("the label's key"), value: { type: "string", maxLength: 63 } }, [
          "label",
          "value",
        ]),
      },
    }),
    controller: section({
      enabled: {
        type: "boolean",
        default: true,
        description:
          "whether one replica at a time, elected by a Lease, tells what became of fetchers and writes the statuses of policies",
      },
      lease: {
        type: "string",
        maxLength: 63,
        pattern: namespacePattern,
        default: "wasmount-controller",
        description: "name of the Lease, in pins.namespace",
      },
    }),
    events: section({ enabled: { type: "boolean", default: true, description: "whether decisions become Events" } }),
    limits: section({
      filters: integer(1, 99, 16, "filters of one pod"),
      configBytes: integer(1, 262144, 65536, "bytes of one filter's configuration"),
      ...fetchLimits,
      resolveSeconds: integer(1, 4, 2, "seconds that one admission may spend on registries; less than reviewSeconds"),
      reviewSeconds: {
        type: "number",
        minimum: 1,
        maximum: 29.5,
        default: 4.5,
        description:
          "seconds that one admission may wait for answers, whosever they are: less than the timeoutSeconds of its registration",
      },
      fetchSeconds: integer(1, 3600, 120, "seconds that one fetcher may spend on registries"),
    }),
    log: section({ level: { enum: ["debug", "info", "warn", "error"], default: "info" } }),
  },
} as const;
