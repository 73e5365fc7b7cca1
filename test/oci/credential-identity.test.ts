import assert from "node:assert/strict";
import { CredentialIdentity } from "../../src/oci/credential-identity.ts";
import type { Credential } from "../../src/oci/credentials.ts";

describe("the identity of credentials", () => {
  const identity = new CredentialIdentity();
  const a: Credential = { kind: "password", username: "a", password: "x" };
  const b: Credential = { kind: "password", username: "b", password: "x" };

  it("is equal for equal ones", () => {
    assert.equal(identity.of([a, b]), identity.of([{ password: "x", kind: "password", username: "a" }, { ...b }]));
  });

  it("differs for others", () => {
    const lists: Credential[][] = [
      [],
      [a],
      [b],
      [a, b],
      [b, a],
      [{ kind: "password", username: "a", password: "y" }],
      [{ kind: "identityToken", username: "a", token: "x" }],
      [{ kind: "registryToken", token: "x" }],
    ];
    assert.equal(new Set(lists.map(list => identity.of(list))).size, lists.length);
  });

  it("can't be computed outside of the process that named it", () => {
    assert.notEqual(new CredentialIdentity().of([a]), identity.of([a]));
  });
});
