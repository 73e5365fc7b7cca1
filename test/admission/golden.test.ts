import assert from "node:assert/strict";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { stringify } from "yaml";
import { sentence } from "../../src/admission/response.ts";
import { admissionFixtures, decideFixture, istioFixtures, patchedBy, readable } from "./fixtures.ts";
import { gatewayFixtures } from "./gateway-fixtures.ts";
import { meshFixtures } from "./mesh-fixtures.ts";

const folder = new URL("../fixtures/admission/golden/", import.meta.url);

/** `UPDATE_GOLDEN=1` writes them anew, for somebody to look at the difference. */
const update = process.env["UPDATE_GOLDEN"] === "1";

describe("admission makes the golden pod of", () => {
  for (const fixture of [...admissionFixtures(), ...istioFixtures(), ...gatewayFixtures(), ...meshFixtures()]) {
    it(fixture.name, async () => {
      const decision = await decideFixture(fixture);
      const found = stringify(
        {
          outcome: decision.outcome,
          message: sentence(decision),
          ...(decision.outcome === "Injected" && {
            warnings: decision.warnings,
            patch: readable(decision.patch),
            pod: readable(patchedBy(fixture.pod, decision)),
          }),
        },
        { lineWidth: 0, aliasDuplicateObjects: false },
      );
      const file = new URL(`${fixture.name}.yaml`, folder);
      if (update) {
        mkdirSync(folder, { recursive: true });
        writeFileSync(file, found);
      }
      assert.ok(existsSync(file), "no golden file yet: UPDATE_GOLDEN=1 writes it");
      assert.equal(found, readFileSync(file, "utf8"));
    });
  }
});
