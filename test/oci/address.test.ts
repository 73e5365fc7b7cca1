import assert from "node:assert/strict";
import type { lookup } from "node:dns";
import { guardedLookup, isForbiddenAddress, refuseForbiddenLiteral } from "../../src/oci/address.ts";
import { coded } from "./scripted-server.ts";

const FORBIDDEN = [
  "169.254.169.254",
  "169.254.0.1",
  "::ffff:169.254.169.254",
  "::ffff:a9fe:a9fe",
  "::a9fe:a9fe",
  "64:ff9b::a9fe:a9fe",
  "2002:a9fe:a9fe::1",
  "fe80::1",
  "febf::1",
  "fd00:ec2::254",
  "fd20:ce::254",
  "100.100.100.200",
  "168.63.129.16",
];
const ALLOWED = ["127.0.0.1", "10.0.0.1", "192.168.1.1", "169.253.255.255", "::1", "fd00::1", "2001:db8::1", "8.8.8.8"];

describe("isForbiddenAddress", () => {
  for (const address of FORBIDDEN) it(`forbids ${address}`, () => assert.equal(isForbiddenAddress(address), true));
  for (const address of ALLOWED) it(`allows ${address}`, () => assert.equal(isForbiddenAddress(address), false));
});

describe("refuseForbiddenLiteral", () => {
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
      const { hostname } = new URL(`http://${host}/`);
      assert.throws(() => refuseForbiddenLiteral(hostname), coded("ForbiddenAddress"), host);
    }
  });

  it("leaves names to the lookup", () => {
    assert.doesNotThrow(() => refuseForbiddenLiteral("metadata.google.internal"));
  });
});

describe("guardedLookup", () => {
  function resolving(...addresses: readonly string[]) {
    const answers = addresses.map(address => ({ address, family: address.includes(":") ? 6 : 4 }));
    const fake = (_name: string, _options: unknown, callback: (error: null, all: unknown) => void) => {
      callback(null, answers);
    };
    const guarded = guardedLookup(fake as unknown as typeof lookup);
    return (all: boolean) =>
      new Promise((resolve, reject) => {
        guarded("registry.example", { all }, (error, address, family) => {
          if (error) reject(error);
          else resolve(all ? address : [address, family]);
        });
      });
  }

  it("refuses a name with one forbidden address among its addresses", async () => {
    await assert.rejects(resolving("10.0.0.1", "169.254.169.254")(true), coded("ForbiddenAddress"));
    await assert.rejects(resolving("::ffff:169.254.169.254")(false), coded("ForbiddenAddress"));
  });

  it("answers in the form that was asked for", async () => {
    assert.deepEqual(await resolving("10.0.0.1", "::1")(true), [
      { address: "10.0.0.1", family: 4 },
      { address: "::1", family: 6 },
    ]);
    assert.deepEqual(await resolving("10.0.0.1", "::1")(false), ["10.0.0.1", 4]);
  });
});
