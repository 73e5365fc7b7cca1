import assert from "node:assert/strict";
import { bundledPackages } from "../../release/packages.ts";

const HASH = "a".repeat(128);
const integrity = `sha512-${Buffer.from(HASH, "hex").toString("base64")}`;
const lock = JSON.stringify({
  packages: {
    "": { name: "wasmount", version: "0.1.0" },
    "node_modules/a": { version: "1.0.0", integrity, license: "MIT" },
    "node_modules/a/node_modules/@s/b": { version: "2.0.0", integrity },
    "node_modules/c/node_modules/@s/b": { version: "2.0.0", integrity },
    "node_modules/@s/b": { version: "3.0.0", integrity, license: "(MIT OR Apache-2.0)" },
    "node_modules/unused": { version: "9.9.9", integrity },
    "node_modules/local": { version: "1.0.0", resolved: "file:../local" },
  },
});

describe("the packages of a bundle", () => {
  it("are those that its inputs lie in, each version once, and no others", () => {
    const inputs = [
      "src/cli/main.ts",
      "package.json",
      "node_modules/a/index.js",
      "node_modules/a/lib/more.js",
      "node_modules/a/node_modules/@s/b/index.js",
      "node_modules/c/node_modules/@s/b/index.js",
      "node_modules/@s/b/dist/index.js",
    ];
    assert.deepEqual(bundledPackages(inputs, lock), [
      { name: "@s/b", version: "2.0.0", license: null, sha512: HASH },
      { name: "@s/b", version: "3.0.0", license: "(MIT OR Apache-2.0)", sha512: HASH },
      { name: "a", version: "1.0.0", license: "MIT", sha512: HASH },
    ]);
  });

  it("must all be locked by a hash", () => {
    for (const path of ["node_modules/stranger/index.js", "node_modules/local/index.js"])
      assert.throws(() => bundledPackages([path], lock), { code: "BadArgument", message: /which is in the bundle/ });
  });
});
