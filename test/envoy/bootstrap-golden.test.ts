import assert from "node:assert/strict";
import { editBootstrap } from "../../src/envoy/bootstrap.ts";
import { BootstrapError } from "../../src/envoy/bootstrap-error.ts";
import { bootstrapFixtures, errorFile, golden, goldenFiles, outputFile } from "./fixtures.ts";

const fixtures = bootstrapFixtures();

describe("editBootstrap, with a file in and a file out", () => {
  for (const { name, input, edit } of fixtures.filter(fixture => !fixture.name.startsWith("error-"))) {
    it(`edits ${name}`, () => {
      const edited = editBootstrap(input, edit);
      assert.equal(edited.text, golden(outputFile(name), edited.text));
      const managers = `${edited.managers.join("\n")}\n`;
      assert.equal(managers, golden(`${name}.managers.txt`, managers));
    });

    it(`leaves ${name} alone the second time`, () => {
      const { text } = editBootstrap(input, edit);
      assert.equal(editBootstrap(text, edit).text, text);
    });

    it(`takes its entries out of ${name} again`, () => {
      const without = editBootstrap(input, { ...edit, entries: [] });
      const back = editBootstrap(editBootstrap(input, edit).text, { ...edit, entries: [] });
      assert.equal(back.text, without.text);
    });
  }

  for (const { name, input, edit } of fixtures.filter(fixture => fixture.name.startsWith("error-"))) {
    it(`refuses ${name}`, () => {
      assert.throws(
        () => editBootstrap(input, edit),
        (error: unknown) => {
          assert.ok(error instanceof BootstrapError, String(error));
          const told = `${error.code}\n${error.message}\n`;
          assert.equal(told, golden(errorFile(name), told));
          return true;
        },
      );
    });
  }

  it("has no golden file without its fixture", () => {
    const expected = fixtures.flatMap(({ name }) =>
      name.startsWith("error-") ? [errorFile(name)] : [outputFile(name), `${name}.managers.txt`],
    );
    assert.deepEqual(
      goldenFiles().filter(file => !expected.includes(file)),
      [],
    );
  });
});
