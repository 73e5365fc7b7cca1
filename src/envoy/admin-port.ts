import { type SourceValue, scalarText } from "./source-value.ts";

/** Each field under both names that it has in protobuf's JSON. */
const PATH = [["admin"], ["address"], ["socket_address", "socketAddress"], ["port_value", "portValue"]] as const;

/**
 * The TCP port of Envoy's administration interface, as a bootstrap names it (envoy.config.bootstrap.v3.Admin).
 * @returns null where there is none, or one that is no number of a port: a Unix socket, or a port that Envoy chooses
 */
export function adminPort(bootstrap: SourceValue): number | null {
  const port = PATH.reduce<SourceValue | undefined>((value, names) => {
    if (!(value instanceof Map)) return undefined;
    return names.map(name => value.get(name)).find(field => field !== undefined);
  }, bootstrap);
  const text = scalarText(port) ?? "";
  const number = /^[1-9][0-9]{0,4}$/.test(text) ? Number(text) : 0;
  return number > 0 && number < 65_536 ? number : null;
}
