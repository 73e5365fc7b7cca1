import { lookup as systemLookup } from "node:dns";
import { BlockList, isIP, type LookupFunction } from "node:net";
import { RegistryError } from "./error.ts";

/**
 * Addresses that no registry has and every cloud answers secrets on: link-local ones and the metadata services outside
 * of that range. Private and loopback ranges stay allowed, registries live there. IPv4 rules also hold for addresses
 * mapped into IPv6, which BlockList unwraps.
 */
const FORBIDDEN = new BlockList();
FORBIDDEN.addSubnet("169.254.0.0", 16, "ipv4"); // link-local: metadata of AWS, Azure, GCP, OpenStack (RFC 3927)
FORBIDDEN.addAddress("100.100.100.200", "ipv4"); // Alibaba Cloud
FORBIDDEN.addAddress("168.63.129.16", "ipv4"); // Azure's host agent
FORBIDDEN.addAddress("192.0.0.192", "ipv4"); // Oracle Cloud
FORBIDDEN.addSubnet("fe80::", 10, "ipv6"); // link-local (RFC 4291)
FORBIDDEN.addAddress("fd00:ec2::254", "ipv6"); // AWS
FORBIDDEN.addAddress("fd00:ec2::23", "ipv6"); // AWS, pod identity
FORBIDDEN.addAddress("fd20:ce::254", "ipv6"); // GCP
FORBIDDEN.addSubnet("64:ff9b::a9fe:0", 112, "ipv6"); // 169.254.0.0/16 behind NAT64 (RFC 6052)
FORBIDDEN.addSubnet("2002:a9fe::", 32, "ipv6"); // the same behind 6to4 (RFC 3056)
FORBIDDEN.addSubnet("::a9fe:0", 112, "ipv6"); // the same, IPv4-compatible (RFC 4291, deprecated)

/** Whether an address, written as an IP literal, must not be dialled. */
export function isForbiddenAddress(address: string): boolean {
  const family = isIP(address);
  return family !== 0 && FORBIDDEN.check(address, family === 6 ? "ipv6" : "ipv4");
}

/**
 * Refuses a URL's host that is a forbidden address by itself. Node asks no lookup function about literals, so this
 * check and the guarded lookup only work together.
 * @param hostname as the URL class gives it: IPv4 in dotted form, IPv6 in brackets
 * @throws {RegistryError} ForbiddenAddress
 */
export function refuseForbiddenLiteral(hostname: string): void {
  if (isForbiddenAddress(hostname.replace(/^\[|\]$/g, ""))) throw forbidden(hostname);
}

/**
 * A lookup for sockets that answers no name with a forbidden address among its addresses. It runs when the socket is
 * dialled, so a name that resolves differently the second time gains nothing.
 */
export function guardedLookup(lookup: typeof systemLookup = systemLookup): LookupFunction {
  return (hostname, options, callback) => {
    lookup(hostname, { ...options, all: true }, (error, addresses) => {
      if (error) return callback(error, []);
      if (addresses.some(({ address }) => isForbiddenAddress(address))) return callback(forbidden(hostname), []);
      const [first] = addresses;
      if (options.all || first === undefined) return callback(null, addresses);
      callback(null, first.address, first.family);
    });
  };
}

function forbidden(hostname: string): RegistryError {
  return new RegistryError(
    "ForbiddenAddress",
    `${hostname} is or resolves to a link-local or cloud metadata address, which is never contacted`,
  );
}
