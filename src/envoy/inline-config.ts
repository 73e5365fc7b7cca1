import { messageOf } from "../error.ts";
import { BootstrapError } from "./bootstrap-error.ts";
import { isNull } from "./source-node.ts";
import { readYaml } from "./yaml-source.ts";

const MAX_INLINE_LENGTH = 128 * 1024;
const VARIABLES =
  "--config-yaml refers to variables, which may hold anything: write their values, or name the node by --service-node and --service-cluster";

/** The fields of a bootstrap that may bring listeners. */
export const LISTENER_FIELDS: readonly string[] = [
  "static_resources",
  "staticResources",
  "dynamic_resources",
  "dynamicResources",
];

/**
 * Why the value of `--config-yaml`, which Envoy merges over the configuration file, may bring listeners of its own;
 * null where it only sets other things, such as the node or the admin address.
 */
export function inlineListeners(text: string): string | null {
  if (text === "") return null;
  // The kubelet expands references to variables in values too, and what they hold may bring whole sections.
  if (text.includes("$(")) return VARIABLES;
  if (text.length > MAX_INLINE_LENGTH) return `--config-yaml is longer than ${MAX_INLINE_LENGTH} characters`;
  try {
    const { node } = readYaml(text);
    if (node.kind !== "map") return isNull(node) ? null : "--config-yaml is not a mapping";
    const suspect = node.fields.find(field => LISTENER_FIELDS.includes(field.key));
    return suspect ? `--config-yaml sets ${suspect.key}, which can't be edited: put it into the file` : null;
  } catch (error) {
    if (error instanceof BootstrapError) return `--config-yaml can't be read: ${messageOf(error)}`;
    throw error;
  }
}
