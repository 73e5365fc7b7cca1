import { createHash } from "node:crypto";
import { DNS_LABEL } from "../kube/dns-label.ts";
import { isDigest } from "../oci/digest.ts";
import { BootstrapError } from "./bootstrap-error.ts";
import { checkRoot, checkSlots, discoveredName, WASM_TYPE_URL } from "./discovered-filter.ts";

/** One filter as its slot's filter file tells Envoy. */
export interface FilterFile {
  readonly slot: string;
  /** The filter's name, a DNS label: Envoy calls the plugin so in logs and statistics. */
  readonly name: string;
  /** Proxy-Wasm root id, "" for none. */
  readonly rootId: string;
  /** Text handed to the module as its plugin configuration; null for none. */
  readonly config: string | null;
  /** SHA-256 of the module's bytes, 64 lower-case hex digits. */
  readonly moduleSha256: string;
  /** Absolute path of the shared volume in the proxy. */
  readonly root: string;
  /** The proxy's release, "major.minor". */
  readonly envoyVersion: string;
  readonly runtimeFailure: RuntimeFailure;
  /** All that the module may call and that Envoy may call in it; null restricts nothing. */
  readonly allowedCapabilities: readonly string[] | null;
}

/** What becomes of requests when the module traps: refused, passed unfiltered, or a new VM for the next one. */
export type RuntimeFailure = "closed" | "open" | "reload";

/** The largest plugin configuration, in UTF-16 code units. */
export const MAX_CONFIG_LENGTH = 1024 * 1024;

/**
 * The text of `<root>/filters/<slot>.yaml`: a DiscoveryResponse with the one TypedExtensionConfig that Envoy asks the
 * file for (envoy.service.discovery.v3, envoy.extensions.filters.http.wasm.v3). It is JSON, which is YAML too, so that
 * no unquoted word is taken for a boolean or a number.
 * @throws BootstrapError InvalidInput
 */
export function filterFile(filter: FilterFile): string {
  check(filter);
  const version = filterVersion(filter);
  const vm = {
    // Generations must not share a VM: a trap in the old one would take the new one down.
    vm_id: `${filter.name}-${version}`,
    runtime: "envoy.wasm.runtime.v8",
    code: { local: { filename: modulePath(filter.root, filter.moduleSha256) } },
  };
  const configuration =
    filter.config === null ? {} : { configuration: { "@type": STRING_VALUE_TYPE_URL, value: filter.config } };
  const config = {
    name: filter.name,
    root_id: filter.rootId,
    vm_config: vm,
    ...configuration,
    ...failurePolicy(filter),
    ...capabilityRestriction(filter),
  };
  const response = {
    version_info: version,
    resources: [
      {
        "@type": "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig",
        name: discoveredName(filter.slot),
        typed_config: { "@type": WASM_TYPE_URL, config },
      },
    ],
  };
  return `${escapeLineBreaks(JSON.stringify(response, null, 2))}\n`;
}

const STRING_VALUE_TYPE_URL = "type.googleapis.com/google.protobuf.StringValue";

/**
 * What tells one generation of a filter from another: SHA-256, 64 hex digits, over all that Envoy is told. Envoy
 * reports it in the statistic `extension_config_discovery.http_filter.<name>.version_text`.
 */
export function filterVersion(filter: FilterFile): string {
  const content = [
    "wasmount filter 1",
    filter.slot,
    filter.name,
    filter.rootId,
    filter.config,
    filter.moduleSha256,
    filter.root,
    failurePolicy(filter),
    filter.allowedCapabilities,
  ];
  return createHash("sha256").update(JSON.stringify(content)).digest("hex");
}

/** Where a module lies in the volume: under its own hash, since Envoy never reads a path twice. */
export function modulePath(root: string, sha256: string): string {
  return `${root}/modules/${sha256}.wasm`;
}

/**
 * Where the module of a slot lies too, for data planes whose own object names a module's path and no filter file: that object
 * is one for the pods of many generations.
 */
export function slotModulePath(root: string, slot: string): string {
  return `${root}/slots/${slot}.wasm`;
}

/** The functions outside of the list stay linked, and fail when they are called. */
function capabilityRestriction({ allowedCapabilities: allowed }: FilterFile): Readonly<Record<string, object>> {
  if (allowed === null) return {};
  const capabilities = Object.fromEntries(allowed.map(name => [name, {}]));
  return { capability_restriction_config: { allowed_capabilities: capabilities } };
}

const FAILURE_POLICIES = { closed: "FAIL_CLOSED", open: "FAIL_OPEN", reload: "FAIL_RELOAD" } as const;

/** The first release with `failure_policy`. Before, closed was the default, and `fail_open` the only other choice. */
const POLICY_SINCE_MINOR = 33;

function failurePolicy({ name, envoyVersion, runtimeFailure }: FilterFile): Readonly<Record<string, string | boolean>> {
  const [, major, minor] = /^(\d{1,4})\.(\d{1,4})$/.exec(envoyVersion) ?? [];
  if (major === undefined || minor === undefined) {
    throw invalid(`the Envoy version ${JSON.stringify(envoyVersion)} is not of the form "1.40"`);
  }
  if (Number(major) > 1 || Number(minor) >= POLICY_SINCE_MINOR)
    return { failure_policy: FAILURE_POLICIES[runtimeFailure] };
  if (runtimeFailure === "reload") {
    throw invalid(
      `filter ${name} asks for reload, which Envoy ${envoyVersion} can't: the first that can is 1.${POLICY_SINCE_MINOR}`,
    );
  }
  return runtimeFailure === "open" ? { fail_open: true } : {};
}

function check(filter: FilterFile): void {
  checkSlots([filter.slot]);
  checkRoot(filter.root);
  if (!DNS_LABEL.test(filter.name)) {
    throw invalid(`the filter's name ${JSON.stringify(filter.name)} is not a DNS label`);
  }
  if (!isDigest(`sha256:${filter.moduleSha256}`)) {
    throw invalid(`the module's SHA-256 ${JSON.stringify(filter.moduleSha256)} is not 64 lower-case hex digits`);
  }
  const texts = { "root id": filter.rootId, configuration: filter.config ?? "" };
  for (const [what, text] of Object.entries(texts)) {
    if (text.length > MAX_CONFIG_LENGTH) {
      throw invalid(`the ${what} of filter ${filter.name} is longer than ${MAX_CONFIG_LENGTH} characters`);
    }
    if (!text.isWellFormed()) {
      throw invalid(`the ${what} of filter ${filter.name} holds half a surrogate pair, which no UTF-8 text can`);
    }
  }
}

function invalid(message: string): BootstrapError {
  return new BootstrapError("InvalidInput", message);
}

/** JSON lets these stand in strings as they are; YAML 1.1 takes them for line breaks. */
function escapeLineBreaks(json: string): string {
  return json.replace(/[\u007f-\u009f\u2028\u2029\ufeff]/g, character => {
    return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
  });
}
