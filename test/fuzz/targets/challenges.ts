import assert from "node:assert/strict";
import { readChallenge } from "../../../src/oci/challenge.ts";
import { RegistryError } from "../../../src/oci/error.ts";
import { type FuzzTarget, readOrRefused } from "../target.ts";

export const challenges: FuzzTarget = {
  name: "challenges",
  seeds: [
    "Basic",
    'Basic realm="registry"',
    'Bearer realm="https://auth.example/token",service="registry.example",scope="repository:a/b:pull,push"',
    'Negotiate, Basic realm="a \\"quoted\\" word", Bearer realm="https://auth.example/t" , service=plain',
    'Bearer realm="https://auth.example/token",error="invalid_token"',
  ].map(text => Buffer.from(text)),
  tokens: [",", "=", '"', '\\"', "\\", " ", "\t", "Bearer ", "Basic ", "realm=", 'realm="', ",,", "\0", "\x7f"],
  run: async input => {
    const header = input.toString("latin1");
    await readOrRefused(RegistryError, () => {
      const challenge = readChallenge(header);
      assert.ok(challenge.scheme === "basic" || challenge.realm.length > 0);
    });
  },
};
