import { fieldOf, type SourceMap, type SourceNode, textOf } from "./source-node.ts";
import { type SourceValue, scalarText } from "./source-value.ts";

const HTTP_MANAGER_PACKAGE = "envoy.extensions.filters.network.http_connection_manager.";
const HTTP_MANAGER = `${HTTP_MANAGER_PACKAGE}v3.HttpConnectionManager`;
const TYPED_STRUCTS: readonly string[] = ["xds.type.v3.TypedStruct", "udpa.type.v1.TypedStruct"];

/** The router's configuration, and the name by which Envoy's examples call it. */
export const ROUTER_TYPE = "envoy.extensions.filters.http.router.v3.Router";
export const ROUTER_NAME = "envoy.filters.http.router";

/** The message's full name in a type URL: Envoy takes what follows the last slash, whatever the host. */
export function messageName(typeUrl: string): string {
  return typeUrl.slice(typeUrl.lastIndexOf("/") + 1);
}

/** Whether the message is an HTTP connection manager of any kind, also one that can't be edited. */
export function isAnyHttpManager(name: string): boolean {
  return name.startsWith(HTTP_MANAGER_PACKAGE);
}

/** Whether a message of a configuration, as it is or in a TypedStruct, is of a kind. */
export function namesMessage(map: ReadonlyMap<string, SourceValue>, kind: (name: string) => boolean): boolean {
  return ["@type", "type_url", "typeUrl"].some(key => {
    const url = scalarText(map.get(key));
    return url !== undefined && kind(messageName(url));
  });
}

/** The message that a `typed_config` holds, looking through TypedStruct; undefined where it names none. */
export function configuredType(config: SourceNode, where: string): string | undefined {
  return unwrap(config, where)?.type;
}

/** An HTTP connection manager's own fields, or null where the `typed_config` is something else. */
export function httpManagerIn(config: SourceNode, where: string): { fields: SourceMap | null; where: string } | null {
  const inner = unwrap(config, where);
  return inner?.type === HTTP_MANAGER ? { fields: inner.fields, where: inner.where } : null;
}

interface Unwrapped {
  readonly type: string | undefined;
  readonly fields: SourceMap | null;
  readonly where: string;
}

function unwrap(config: SourceNode, where: string): Unwrapped | undefined {
  if (config.kind !== "map") return undefined;
  const type = nameIn(config, "@type", where);
  if (type === undefined || !TYPED_STRUCTS.includes(type)) return { type, fields: config, where };
  const value = fieldOf(config, "value", where);
  const fields = value?.use.node.kind === "map" ? value.use.node : null;
  return { type: nameIn(config, "type_url", where), fields, where: `${where}.value` };
}

function nameIn(map: SourceMap, field: string, where: string): string | undefined {
  const url = textOf(fieldOf(map, field, where)?.use.node);
  return url === undefined ? undefined : messageName(url);
}
