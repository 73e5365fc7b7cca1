import assert from "node:assert/strict";
import fc from "fast-check";
import { readChallenge } from "../../src/oci/challenge.ts";
import { RegistryError } from "../../src/oci/error.ts";
import { coded } from "./scripted-server.ts";

describe("readChallenge", () => {
  it("reads what Docker Hub sends", () => {
    const header =
      'Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:library/a:pull"';
    assert.deepEqual(readChallenge(header), {
      scheme: "bearer",
      realm: "https://auth.docker.io/token",
      service: "registry.docker.io",
      scope: "repository:library/a:pull",
    });
  });

  it("reads commas, quotes and spaces inside and around quoted text", () => {
    const header = 'bearer  realm = "https://a.example/t?x=\\"1\\",2" , scope="repository:a:pull,push"';
    assert.deepEqual(readChallenge(header), {
      scheme: "bearer",
      realm: 'https://a.example/t?x="1",2',
      service: null,
      scope: "repository:a:pull,push",
    });
  });

  it("prefers Bearer among several, and answers Basic where that is all", () => {
    assert.equal(readChallenge('Basic realm="a", Bearer realm="https://a.example"').scheme, "bearer");
    assert.deepEqual(readChallenge('Negotiate, Basic realm="a"'), { scheme: "basic" });
    assert.deepEqual(readChallenge("BASIC"), { scheme: "basic" });
  });

  it("takes no parameter of one challenge for another's", () => {
    const header = 'Digest realm="d", service="d", Bearer realm="https://a.example", service="a", Basic realm="b"';
    assert.deepEqual(readChallenge(header), {
      scheme: "bearer",
      realm: "https://a.example",
      service: "a",
      scope: null,
    });
  });

  it("reads credentials in a scheme's own form, and does not take them for parameters", () => {
    for (const token of ["YWJj", "YWJj==", "a+b/c~d._-="]) {
      const header = `Negotiate ${token}, Bearer realm="https://a.example"`;
      assert.equal(readChallenge(header).scheme, "bearer", token);
    }
  });

  it("passes over a Bearer challenge without a realm where there is another way", () => {
    assert.deepEqual(readChallenge('Bearer authorization_uri="https://a.example", Basic realm="x"'), {
      scheme: "basic",
    });
  });

  it("reads empty elements of the list", () => {
    assert.deepEqual(readChallenge(', ,Basic realm="a",,'), { scheme: "basic" });
  });

  const refused = [
    undefined,
    "",
    "Negotiate",
    "Bearer",
    'Bearer service="a"',
    'Bearer realm=""',
    'Bearer realm="unfinished',
    'Bearer realm="https://a.example",realm="https://b.example"',
    `Bearer realm="https://a.example/${"a".repeat(5000)}"`,
    '="x"',
    'realm="https://a.example"',
    'Bearer realm="https://a.example" service="a"',
    'Bearer realm="https://a.example", service="a\u0007"',
    'Bearer realm="https://a.example", service=',
    "Bearer a b",
    `${"X, ".repeat(9)}Basic`,
  ];
  for (const header of refused) {
    it(`refuses ${JSON.stringify(header?.slice(0, 70))}`, () => {
      assert.throws(() => readChallenge(header), coded("BadChallenge"));
    });
  }

  it("ends on any header", () => {
    const header = fc.string({ unit: fc.constantFrom("Bearer", "Basic", "realm", "=", '"', ",", " ", "\\", "x", "é") });
    fc.assert(
      fc.property(header, text => {
        try {
          readChallenge(text);
        } catch (error) {
          assert.ok(error instanceof RegistryError);
        }
      }),
      { numRuns: 1000 },
    );
  });
});
