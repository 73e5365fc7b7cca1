import type { Sibling } from "../../src/envoy/sibling.ts";

/** A file beside a bootstrap, what it must be taken for, and whether Envoy 1.40 starts with it. */
export interface SiblingCase {
  readonly title: string;
  readonly name: string;
  readonly content: Uint8Array;
  readonly kind: Sibling["kind"];
  readonly starts: boolean;
}

const JSON_TEXT = '{"static_resources": {"listeners": []}}';

function of(
  title: string,
  name: string,
  content: string | Uint8Array,
  kind: Sibling["kind"],
  starts: boolean,
): SiblingCase {
  return { title, name, content: Buffer.from(content), kind, starts };
}

export const siblings: readonly SiblingCase[] = [
  of("YAML", "a.yaml", "static_resources: {}\n", "bootstrap", true),
  of("YAML in camelCase", "a.yml", "staticResources: {}\n", "bootstrap", true),
  of("YAML whose only listeners come from elsewhere", "a.yaml", "dynamic_resources: {}\n", "bootstrap", true),
  of("YAML with an escape in a name", "a.yaml", '"static\\x5fresources": {}\n', "bootstrap", true),
  of("YAML with a byte order mark", "a.yaml", "\ufeffstatic_resources: {}\n", "bootstrap", true),
  of("JSON", "a.json", JSON_TEXT, "bootstrap", true),
  of("JSON with blanks before it", "a.json", ` \t\r\n${JSON_TEXT}`, "bootstrap", true),
  of("JSON with an escape in a name", "a.json", '{"dynamic\\u005fresources": {}}', "bootstrap", true),
  of("JSON without an ending", "envoy", JSON_TEXT, "bootstrap", true),
  of("JSON with a trailing comma", "a.json", '{"static_resources": {},}', "unknown", true),
  of("JSON with single quotes", "a.conf", "{'static_resources': {}}", "unknown", true),
  of("JSON with bare names", "a.json", "{static_resources: {}}", "unknown", true),
  of("JSON that sets a field twice", "a.json", '{"static_resources": {}, "static_resources": {}}', "unknown", true),
  of("JSON that is not UTF-8", "a.json", Buffer.from('{"node": {"id": "\xff"}}', "latin1"), "unknown", false),
  of("JSON that is too large to be read", "a.json", JSON_TEXT.padEnd(1024 * 1024 + 1), "unknown", true),
  of("YAML that is too large to be read", "a.yaml", `node: {}\n${" ".repeat(1024 * 1024)}`, "unknown", true),
  of("YAML in UTF-16", "a.yaml", Buffer.from("\ufeffstatic_resources: {}\n", "utf16le"), "unknown", true),
  of("YAML in UTF-16 without a mark", "a.yaml", Buffer.from("static_resources: {}\n", "utf16le"), "unknown", true),
  of("YAML with lone carriage returns", "a.yaml", "node: {}\rstatic_resources: {}\r", "unknown", true),
  of("YAML in two documents", "a.yaml", "static_resources: {}\n---\na: b\n", "unknown", true),
  of("protobuf as text", "a.PB_TEXT", "static_resources {}", "unknown", true),
  of("protobuf", "a.pb", Buffer.from([0x12, 0]), "unknown", true),
  of("a list of secrets", "sds.yaml", "resources: []\n", "other", false),
  of("a YAML list", "a.yaml", "- static_resources: {}\n", "other", false),
  of("a YAML scalar", "a.yaml", "static_resources\n", "other", false),
  of("an empty file", "a.yaml", "\n", "other", false),
  of("JSON without listeners", "a.json", '{"node": {"id": "a"}}', "other", true),
  of("a JSON list", "a.json", `[${JSON_TEXT}]`, "other", false),
  of("JSON behind a comment", "a.json", `// a\n${JSON_TEXT}`, "other", false),
  of("JSON behind a byte order mark", "a.json", `\ufeff${JSON_TEXT}`, "other", false),
  of("a certificate", "tls.crt", "-----BEGIN CERTIFICATE-----\n", "other", false),
  of("a large binary", "geo.mmdb", new Uint8Array(2 * 1024 * 1024), "other", false),
  of("an empty file without an ending", "marker", "", "other", false),
];
