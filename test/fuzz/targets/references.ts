import assert from "node:assert/strict";
import { formatReference, ImageReferenceError, parseReference } from "../../../src/oci/reference.ts";
import { type FuzzTarget, readOrRefused } from "../target.ts";

const digest = `sha256:${"0123456789abcdef".repeat(4)}`;

/** What is accepted has one spelling, which means the same. */
export const references: FuzzTarget = {
  name: "references",
  seeds: [
    "filter",
    "team/filter:v1",
    "docker.io/library/filter:latest",
    "oci://registry.example:5000/team/sub/filter:1.0",
    `registry.example/filter@${digest}`,
    `[::1]:5000/filter:v1@${digest}`,
    "localhost/a__b/c.d-e:_x",
  ].map(text => Buffer.from(text)),
  tokens: [
    "@",
    ":",
    "/",
    "[",
    "]",
    "::",
    "sha256:",
    "oci://",
    "..",
    "localhost",
    "docker.io",
    "xn--",
    "%",
    "\\",
    "\xe9",
  ],
  run: async input => {
    const text = input.toString("utf8");
    await readOrRefused(ImageReferenceError, () => {
      const reference = parseReference(text);
      const spelled = formatReference(reference);
      assert.deepEqual(parseReference(spelled), reference);
      assert.equal(new URL(`https://${reference.registry}`).username, "");
    });
  },
};
