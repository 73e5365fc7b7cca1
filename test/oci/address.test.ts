import assert from "node:assert/strict";
import type { LookupFunction } from "node:net";
import { AddressGuard, type AddressKind, addressKind, type PrivateAddresses } from "../../src/oci/address.ts";
import { coded } from "./scripted-server.ts";

const KINDS: Readonly<Record<AddressKind, readonly string[]>> = {
  forbidden: [
    "169.254.169.254",
    "169.254.0.1",
    "::ffff:169.254.169.254",
    "::ffff:a9fe:a9fe",
    "::ffff:0:169.254.169.254",
    "::a9fe:a9fe",
    "::169.254.169.254",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::a9fe:a9fe",
    "64:ff9b:1:a9fe:a9:fe00::",
    "2002:a9fe:a9fe::1",
    "2001:0:102:304:0:0:5601:5601",
    "2001:db8::5efe:169.254.169.254",
    "2001:db8::200:5efe:a9fe:a9fe",
    "fe80::1",
    "fe80::1%eth0",
    "febf::1",
    "fd00:ec2::254",
    "fd00:ec2::23",
    "fd20:ce::254",
    "100.100.100.200",
    "168.63.129.16",
    "192.0.0.192",
    "224.0.0.1",
    "255.255.255.255",
    "ff02::1",
  ],
  private: [
    "0.0.0.0",
    "10.0.0.1",
    "100.64.0.1",
    "127.0.0.1",
    "127.8.9.1",
    "172.31.255.255",
    "192.0.0.1",
    "192.168.1.1",
    "198.19.0.1",
    "::",
    "::1",
    "::ffff:10.0.0.1",
    "::ffff:127.0.0.1",
    "::10.0.0.1",
    "64:ff9b::10.0.0.1",
    "64:ff9b:1::8.8.8.8",
    "2002:0a00:0001::1",
    "2001:0:102:304:0:0:f5ff:fffe",
    "fc00::1",
    "fdff::1",
    "fec0::1",
  ],
  public: [
    "8.8.8.8",
    "169.253.255.255",
    "100.128.0.1",
    "172.32.0.1",
    "223.255.255.255",
    "2001:db8::1",
    "2606:4700::1111",
    "::ffff:8.8.8.8",
    "64:ff9b::8.8.8.8",
    "2002:808:808::1",
    "fe00::1",
  ],
};

function guard(privateAddresses: PrivateAddresses, named: readonly string[] = [], addresses: readonly string[] = []) {
  const answers = addresses.map(address => ({ address, family: address.includes(":") ? 6 : 4 }));
  const lookup = (_name: string, _options: unknown, callback: (error: null, all: unknown) => void) => {
    callback(null, answers);
  };
  return new AddressGuard(privateAddresses, new Set(named), lookup as unknown as LookupFunction);
}

describe("addressKind", () => {
  for (const [kind, addresses] of Object.entries(KINDS)) {
    for (const address of addresses) it(`calls ${address} ${kind}`, () => assert.equal(addressKind(address), kind));
  }
});

describe("AddressGuard.refuseLiteral", () => {
  it("sees through every spelling that URLs turn into an address", () => {
    const spellings = [
      "169.254.169.254",
      "0xa9fea9fe",
      "2852039166",
      "169.254.43518",
      "[::ffff:169.254.169.254]",
      "[fe80::1]",
    ];
    for (const host of spellings) {
      const url = new URL(`http://${host}/`);
      assert.throws(() => guard("Allow").refuseLiteral(url), coded("ForbiddenAddress"), host);
      // Naming it doesn't help.
      assert.throws(() => guard("Allow", [url.host]).refuseLiteral(url), coded("ForbiddenAddress"), host);
    }
  });

  it("refuses a private one where they are denied, but for the hosts that were named, port and all", () => {
    const url = new URL("https://10.0.0.1:5000/");
    guard("Allow").refuseLiteral(url);
    guard("Deny", ["10.0.0.1:5000"]).refuseLiteral(url);
    assert.throws(() => guard("Deny").refuseLiteral(url), coded("ForbiddenAddress", /name the host under registries/));
    assert.throws(() => guard("Deny", ["10.0.0.1:6443"]).refuseLiteral(url), coded("ForbiddenAddress"));
    assert.throws(() => guard("Deny").refuseLiteral(new URL("https://[::ffff:7f00:1]/")), coded("ForbiddenAddress"));
  });

  it("leaves names to the lookup", () => {
    assert.doesNotThrow(() => guard("Deny").refuseLiteral(new URL("http://metadata.google.internal/")));
  });
});

describe("AddressGuard.lookupFor", () => {
  const resolving = (made: AddressGuard, all = true, host = "registry.example") =>
    new Promise((resolve, reject) => {
      made.lookupFor(host)("registry.example", { all }, (error, address, family) => {
        if (error) reject(error);
        else resolve(all ? address : [address, family]);
      });
    });

  it("refuses a name with one forbidden address among its addresses", async () => {
    const one = guard("Allow", ["registry.example"], ["10.0.0.1", "169.254.169.254"]);
    await assert.rejects(resolving(one), coded("ForbiddenAddress"));
    await assert.rejects(resolving(guard("Allow", [], ["::ffff:169.254.169.254"]), false), coded("ForbiddenAddress"));
  });

  it("refuses a name with one private address among its addresses, but for named hosts", async () => {
    const addresses = ["8.8.8.8", "::1"];
    await assert.rejects(resolving(guard("Deny", [], addresses)), coded("ForbiddenAddress"));
    await resolving(guard("Allow", [], addresses));
    await resolving(guard("Deny", ["registry.example"], addresses));
    await assert.rejects(
      resolving(guard("Deny", ["registry.example"], addresses), true, "registry.example:8443"),
      coded("ForbiddenAddress"),
    );
  });

  it("tells nobody which address it was", async () => {
    await assert.rejects(resolving(guard("Deny", [], ["10.9.8.7"])), coded("ForbiddenAddress", /^(?!.*10\.9)/));
  });

  it("answers in the form that was asked for", async () => {
    const made = guard("Allow", [], ["10.0.0.1", "::1"]);
    assert.deepEqual(await resolving(made), [
      { address: "10.0.0.1", family: 4 },
      { address: "::1", family: 6 },
    ]);
    assert.deepEqual(await resolving(made, false), ["10.0.0.1", 4]);
  });
});
