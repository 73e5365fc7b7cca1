import { messageOf } from "../error.ts";
import { bootstrapFormat, MAX_BOOTSTRAP_LENGTH } from "./bootstrap.ts";
import { BootstrapError } from "./bootstrap-error.ts";
import { LISTENER_FIELDS } from "./inline-config.ts";
import { readJson } from "./json-source.ts";
import { readYaml } from "./yaml-source.ts";

/** What a file that lies beside a bootstrap would be to an Envoy that was started with it. */
export type Sibling =
  /** A configuration that may bring listeners. */
  | { readonly kind: "bootstrap" }
  /** One that brings none, or that no Envoy takes. */
  | { readonly kind: "other" }
  /** Envoy reads more than we do, such as JSON with trailing commas or YAML in UTF-16, and may take it. */
  | { readonly kind: "unknown"; readonly why: string };

const OTHER: Sibling = { kind: "other" };

/** @param path decides how Envoy reads it: see bootstrapFormat */
export function readSibling(path: string, content: Uint8Array): Sibling {
  try {
    const format = bootstrapFormat(path);
    if (!(format === "yaml" ? /\S/ : MESSAGE).test(Buffer.from(content).toString("latin1"))) return OTHER;
    if (content.length > MAX_BOOTSTRAP_LENGTH) {
      return unknown(`it has ${content.length} bytes, at most ${MAX_BOOTSTRAP_LENGTH} are read`);
    }
    const text = new TextDecoder("utf-8", { fatal: true }).decode(content);
    if (text.includes("\0")) return unknown("it holds NUL characters");
    const { node } = format === "yaml" ? readYaml(text) : readJson(text);
    if (node.kind !== "map") return OTHER;
    return node.fields.some(({ key }) => LISTENER_FIELDS.includes(key)) ? { kind: "bootstrap" } : OTHER;
  } catch (error) {
    if (error instanceof BootstrapError) return unknown(error.message);
    if (error instanceof TypeError) return unknown(`it is not UTF-8: ${messageOf(error)}`);
    throw error;
  }
}

/** Envoy's JSON reader knows four blanks, no comments, and takes nothing but an object for a message. */
const MESSAGE = /^[ \t\r\n]*\{/;

function unknown(why: string): Sibling {
  return { kind: "unknown", why };
}
