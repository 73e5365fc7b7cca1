import { isIP, type LookupFunction } from "node:net";
import { RegistryError } from "./error.ts";
import { hostnameOf } from "./hostname.ts";
import { ipv6Bytes } from "./ipv6.ts";

/** Whether private addresses (loopback and shared ones among them) may be dialled of hosts that nobody named. */
export type PrivateAddresses = "Allow" | "Deny";

/** What an address is to us. A forbidden one is never dialled, a private one where the operator allows it. */
export type AddressKind = "public" | "private" | "forbidden";

/** Ranges of addresses, each by the hex digits that its addresses begin with. */
interface Ranges {
  readonly 4: readonly string[];
  readonly 6: readonly string[];
}

/** Addresses that no registry has, and those of them that clouds answer secrets on. */
const FORBIDDEN: Ranges = {
  4: [
    "a9fe", // 169.254.0.0/16, link-local: metadata of AWS, Azure, GCP, OpenStack (RFC 3927)
    "646464c8", // 100.100.100.200, Alibaba Cloud
    "a83f8110", // 168.63.129.16, Azure's host agent
    "c00000c0", // 192.0.0.192, Oracle Cloud
    ...["e", "f"], // 224.0.0.0/3, multicast, reserved, broadcast (RFC 5771, RFC 1112)
  ],
  6: [
    ...["fe8", "fe9", "fea", "feb"], // fe80::/10, link-local (RFC 4291)
    "ff", // ff00::/8, multicast (RFC 4291)
    "fd000ec2000000000000000000000254", // fd00:ec2::254, AWS
    "fd000ec2000000000000000000000023", // fd00:ec2::23, AWS, pod identity
    "fd2000ce000000000000000000000254", // fd20:ce::254, GCP
  ],
};

const PRIVATE: Ranges = {
  4: [
    "00", // 0.0.0.0/8, "this host": Linux connects it to loopback (RFC 1122)
    "0a", // 10.0.0.0/8 (RFC 1918)
    ...["644", "645", "646", "647"], // 100.64.0.0/10, shared by carriers, and by clusters (RFC 6598)
    "7f", // 127.0.0.0/8, loopback (RFC 1122)
    "ac1", // 172.16.0.0/12 (RFC 1918)
    "c00000", // 192.0.0.0/24, protocol assignments (RFC 6890)
    "c0a8", // 192.168.0.0/16 (RFC 1918)
    ...["c612", "c613"], // 198.18.0.0/15, benchmarks (RFC 2544)
  ],
  6: [
    ...["0", "1"].map(last => last.padStart(32, "0")), // ::/127, unspecified and loopback (RFC 4291)
    "0064ff9b0001", // 64:ff9b:1::/48, NAT64 of a site's own (RFC 8215)
    ...["fc", "fd"], // fc00::/7, unique local (RFC 4193)
    ...["fec", "fed", "fee", "fef"], // fec0::/10, site-local (RFC 3879, deprecated)
  ],
};

/** The kind of an address, written as an IP literal, judged by every IPv4 address in it too. */
export function addressKind(literal: string): AddressKind {
  const [address = ""] = literal.split("%", 1);
  if (isIP(address) === 4) return ownKind(ipv4Hex(address.split(".").map(Number)), 4);
  const bytes = ipv6Bytes(address);
  const hex = bytes.toString("hex");
  const kinds = [ownKind(hex, 6), ...embedded(bytes, hex).map(inner => ownKind(inner, 4))];
  return kinds.find(kind => kind === "forbidden") ?? kinds.find(kind => kind === "private") ?? "public";
}

/** Decides which addresses are dialled, for URLs as they stand and for names at the moment of dialling. */
export class AddressGuard {
  readonly #private: PrivateAddresses;
  readonly #named: ReadonlySet<string>;
  readonly #lookup: LookupFunction;

  /** @param named hosts, with port as URLs spell them, that the operator named: their addresses may be private */
  constructor(privateAddresses: PrivateAddresses, named: ReadonlySet<string>, lookup: LookupFunction = systemLookup) {
    this.#private = privateAddresses;
    this.#named = named;
    this.#lookup = lookup;
  }

  /**
   * Refuses a URL whose host is an address that must not be dialled. Node asks no lookup function about literals, so
   * this check and the lookup only work together.
   * @throws {RegistryError} ForbiddenAddress
   */
  refuseLiteral(url: Pick<URL, "hostname" | "host">): void {
    const literal = hostnameOf(url);
    const refusal = isIP(literal) === 0 ? null : this.#refusal(literal, url.host);
    if (refusal) throw refusal;
  }

  /**
   * A lookup for the sockets of one host that answers no name with an address among its addresses that must not be
   * dialled. It runs when the socket is dialled, so a name that resolves differently the second time gains nothing.
   */
  lookupFor(host: string): LookupFunction {
    return (hostname, options, callback) => {
      this.#lookup(hostname, { ...options, all: true }, (error, found) => {
        if (error) return callback(error, []);
        const addresses = Array.isArray(found) ? found : [{ address: found, family: isIP(found) }];
        const refusal = addresses.map(({ address }) => this.#refusal(address, host)).find(one => one !== null);
        if (refusal) return callback(refusal, []);
        const [first] = addresses;
        if (options.all || first === undefined) return callback(null, addresses);
        callback(null, first.address, first.family);
      });
    };
  }

  #refusal(address: string, host: string): RegistryError | null {
    const kind = addressKind(address);
    if (kind === "forbidden") {
      return new RegistryError(
        "ForbiddenAddress",
        `${host} is or resolves to a link-local, multicast or cloud metadata address, which is never contacted`,
      );
    }
    if (kind === "public" || this.#private === "Allow" || this.#named.has(host)) return null;
    return new RegistryError(
      "ForbiddenAddress",
      `${host} is or resolves to a private address: name the host under registries, or set network.privateAddresses to Allow`,
    );
  }
}

/** Late: who names an address needs no resolver. */
const systemLookup: LookupFunction = (hostname, options, callback) =>
  process.getBuiltinModule("node:dns").lookup(hostname, options, callback);

function ownKind(hex: string, family: keyof Ranges): AddressKind {
  const isIn = (ranges: Ranges) => ranges[family].some(range => hex.startsWith(range));
  if (isIn(FORBIDDEN)) return "forbidden";
  return isIn(PRIVATE) ? "private" : "public";
}

function ipv4Hex(bytes: Iterable<number>): string {
  return Buffer.from([...bytes]).toString("hex");
}

/** Where an IPv6 address that leads to an IPv4 one has it: the prefix in hex, and the positions of the four bytes. */
const EMBEDDINGS: readonly (readonly [prefix: string, positions: readonly number[]])[] = [
  ["00000000000000000000ffff", [12, 13, 14, 15]], // mapped (RFC 4291)
  ["0000000000000000ffff0000", [12, 13, 14, 15]], // translated (RFC 2765)
  ["000000000000000000000000", [12, 13, 14, 15]], // compatible (RFC 4291, deprecated)
  ["0064ff9b0000000000000000", [12, 13, 14, 15]], // NAT64 (RFC 6052)
  ["0064ff9b0001", [12, 13, 14, 15]], // NAT64 of a site's own, as /96 and as /48 (RFC 8215, RFC 6052 section 2.2)
  ["0064ff9b0001", [6, 7, 9, 10]],
  ["2002", [2, 3, 4, 5]], // 6to4 (RFC 3056)
];

/** The IPv4 addresses in an IPv6 one, in hex. */
function embedded(bytes: Buffer, hex: string): readonly string[] {
  const found = EMBEDDINGS.filter(([prefix]) => hex.startsWith(prefix)).map(([, positions]) =>
    positions.map(position => bytes[position] ?? 0),
  );
  // Teredo turns every bit of the client's address over (RFC 4380).
  if (hex.startsWith("20010000")) found.push([...bytes.subarray(12)].map(byte => byte ^ 0xff));
  // ISATAP: any prefix, then 0:5efe or 200:5efe (RFC 5214).
  if (/^.{16}0[02]005efe/.test(hex)) found.push([...bytes.subarray(12)]);
  return found.map(ipv4Hex);
}
