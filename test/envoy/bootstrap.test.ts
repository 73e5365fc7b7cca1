import assert from "node:assert/strict";
import fc from "fast-check";
import { Document, parse, visit } from "yaml";
import { type BootstrapEdit, bootstrapFormat, editBootstrap, MAX_BOOTSTRAP_LENGTH } from "../../src/envoy/bootstrap.ts";
import { BootstrapError, type BootstrapErrorCode } from "../../src/envoy/bootstrap-error.ts";
import { bootstrapFixtures, fixtureEdit } from "./fixtures.ts";

const MANAGER = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager";
const ROUTER = "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router";
const YAML_EDIT = fixtureEdit("x.yaml");
const JSON_EDIT = fixtureEdit("x.json");
const OURS = ["wasmount.in-first-01", "wasmount.in-first-02", "wasmount.in-last-01", "wasmount.in-last-02"];

function manager(http_filters: readonly object[]): object {
  return { name: "http", typed_config: { "@type": MANAGER, stat_prefix: "x", http_filters } };
}

function bootstrap(filters: readonly object[]): { node: object; static_resources: object } {
  const listener = { name: "in", filter_chains: [{ filters }] };
  return { node: { id: "a", cluster: "b" }, static_resources: { listeners: [listener] } };
}

const SMALL = bootstrap([manager([{ name: "r", typed_config: { "@type": ROUTER } }])]);

function codeOf(text: string, edit: BootstrapEdit): BootstrapErrorCode {
  try {
    editBootstrap(text, edit);
  } catch (error) {
    assert.ok(error instanceof BootstrapError, String(error));
    return error.code;
  }
  assert.fail("nothing was refused");
}

/** A bootstrap as text in some style, and its http filters' names, manager by manager. */
const styled = fc
  .record({
    chains: fc.array(fc.array(fc.constantFrom("cors", "jwt", "lua", "wasm"), { maxLength: 3 }), {
      minLength: 1,
      maxLength: 4,
    }),
    dice: fc.uint8Array({ minLength: 97, maxLength: 97, max: 99 }),
    indent: fc.integer({ min: 2, max: 6 }),
    indentSeq: fc.boolean(),
    newline: fc.constantFrom("\n", "\r\n"),
  })
  .map(({ chains, dice, indent, indentSeq, newline }) => {
    let rolls = 0;
    const roll = () => dice[rolls++ % dice.length] ?? 0;
    const managers = chains.map(names => [
      { name: "tcp" },
      manager(
        [...names, "router"].map(name => ({ name, typed_config: { "@type": name === "router" ? ROUTER : name } })),
      ),
    ]);
    const document = new Document(bootstrap(managers.flat()), { version: "1.1" });
    visit(document, {
      Collection: (_, node) => {
        if (roll() < 10) node.flow = true;
        if (roll() < 20) node.commentBefore = ` note ${roll()}`;
        if (roll() < 10) node.comment = ` after ${roll()}`;
        if (roll() < 10) node.spaceBefore = true;
      },
      Scalar: (key, node) => {
        if (roll() < 10) node.type = roll() < 50 ? "QUOTE_SINGLE" : "QUOTE_DOUBLE";
        if (roll() < 10 && key === "value") node.comment = ` here ${roll()}`;
      },
    });
    const text = document.toString({ indent, indentSeq, lineWidth: 0 }).replaceAll("\n", newline);
    return { text, names: chains.map(names => [...names, "router"]) };
  });

/** The names of every http_filters list, by another reader than the editor's. */
function namesIn(value: unknown): string[][] {
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([key, member]) =>
    key === "http_filters" ? [member.map((filter: { name: string }) => filter.name)] : namesIn(member),
  );
}

describe("editBootstrap", () => {
  it("puts every slot into every manager, once, whatever the style", () => {
    fc.assert(
      fc.property(styled, ({ text, names }) => {
        const edited = editBootstrap(text, YAML_EDIT);
        assert.deepEqual(
          namesIn(parse(edited.text, { version: "1.1" })),
          names.map(own => [...OURS.slice(0, 2), ...own.slice(0, -1), ...OURS.slice(2), "router"]),
        );
        assert.equal(edited.managers.length, names.length);
      }),
      { numRuns: 60 },
    );
  });

  it("keeps every byte outside its insertions: taking them out again gives the file", () => {
    fc.assert(
      fc.property(styled, ({ text }) => {
        const edited = editBootstrap(text, YAML_EDIT).text;
        assert.equal(editBootstrap(edited, YAML_EDIT).text, edited);
        assert.equal(editBootstrap(edited, { ...YAML_EDIT, entries: [] }).text, text);
      }),
      { numRuns: 60 },
    );
  });

  it("does so for JSON of any indentation", () => {
    const space = fc.constantFrom(0, 1, 2, 3, 4, 8, "\t");
    const filters = fc.array(fc.record({ name: fc.string({ unit: "binary" }) }), { maxLength: 3 });
    fc.assert(
      fc.property(space, filters, (indent, own) => {
        fc.pre(own.every(({ name }) => !name.startsWith("wasmount.")));
        const text = JSON.stringify(bootstrap([manager([...own, { name: "router" }])]), null, indent);
        const edited = editBootstrap(text, JSON_EDIT).text;
        const names = [...OURS.slice(0, 2), ...own.map(({ name }) => name), ...OURS.slice(2), "router"];
        assert.deepEqual(namesIn(JSON.parse(edited)), [names]);
        assert.equal(editBootstrap(edited, { ...JSON_EDIT, entries: [] }).text, text);
        assert.equal(edited.includes("\n"), text.includes("\n"));
      }),
    );
  });

  it("replaces what an edit for other slots left", () => {
    const entries = [{ slot: "in-last-09", phase: "last" } as const, { slot: "in-last-01", phase: "first" } as const];
    for (const { name, input, edit } of bootstrapFixtures().filter(fixture => !fixture.name.startsWith("error-"))) {
      const earlier = editBootstrap(input, { ...edit, entries, root: "/elsewhere" }).text;
      assert.equal(editBootstrap(earlier, edit).text, editBootstrap(input, edit).text, name);
    }
  });

  it("either edits or says why not, whatever the text", () => {
    const inputs = bootstrapFixtures().map(({ input }) => input);
    const noise = fc.oneof(
      fc.string({ maxLength: 8 }),
      fc.constantFrom(
        "- ",
        "&a ",
        "*a",
        "[",
        "]",
        "{",
        "}",
        ": ",
        "? ",
        "\n",
        "\t",
        "|\n",
        "#",
        "'",
        '"',
        "<<: ",
        "\r",
      ),
    );
    const damage = fc.record({ at: fc.nat(), length: fc.nat(40), text: noise });
    fc.assert(
      fc.property(
        fc.constantFrom(...inputs),
        fc.array(damage, { maxLength: 3 }),
        fc.boolean(),
        (input, damages, json) => {
          const text = damages.reduce((current, { at, length, text: inserted }) => {
            const place = current.length === 0 ? 0 : at % current.length;
            return current.slice(0, place) + inserted + current.slice(place + length);
          }, input);
          const edit = json ? JSON_EDIT : YAML_EDIT;
          try {
            const edited = editBootstrap(text, edit).text;
            assert.equal(editBootstrap(edited, edit).text, edited);
          } catch (error) {
            if (!(error instanceof BootstrapError)) throw error;
            assert.notEqual(error.code, "Internal", error.message);
          }
        },
      ),
      { numRuns: 500 },
    );
  }).timeout(60_000);

  it("survives what makes parsers run out of stack, memory or time", () => {
    const n = 10_000;
    const hostile = [
      "[",
      "{",
      "- ",
      "? ",
      "a: ",
      "{a: ",
      "[a: b,",
      "&a ",
      "*a ",
      "!a ",
      '"',
      "'",
      "---\n",
      "|\n",
      "}\n",
      "\t",
      ": ",
      "- a\n#c\n",
      "%a\n",
    ];
    for (const part of hostile) codeOf(part.repeat(n), YAML_EDIT);
    for (const edit of [YAML_EDIT, JSON_EDIT]) {
      assert.equal(codeOf(`${"[".repeat(n)}${"]".repeat(n)}`, edit), "TooLarge");
    }
    codeOf(`{"a":${'{"a":'.repeat(n)}1${"}".repeat(n)}}`, JSON_EDIT);
  }).timeout(60_000);

  it("refuses aliases that multiply", () => {
    const bomb = Array.from({ length: 30 }, (_, level) => {
      return `a${level}: &a${level} [${level === 0 ? "x" : `*a${level - 1}, *a${level - 1}`}]\n`;
    });
    assert.equal(codeOf(bomb.join(""), YAML_EDIT), "TooLarge");
    const chain = Array.from({ length: 200 }, (_, level) => {
      return `b${level}: &b${level} ${level === 0 ? "x" : `[*b${level - 1}]`}\n`;
    });
    assert.equal(codeOf(chain.join(""), YAML_EDIT), "TooLarge");
  });

  it("refuses nesting and sizes beyond its limits, and takes what is below", () => {
    const nested = (depth: number) =>
      `${JSON.stringify(SMALL).slice(0, -1)},"x":${"[".repeat(depth)}${"]".repeat(depth)}}`;
    for (const edit of [YAML_EDIT, JSON_EDIT]) {
      editBootstrap(nested(120), edit);
      assert.equal(codeOf(nested(130), edit), "TooLarge");
      editBootstrap(JSON.stringify(SMALL).padEnd(MAX_BOOTSTRAP_LENGTH), edit);
      assert.equal(codeOf(JSON.stringify(SMALL).padEnd(MAX_BOOTSTRAP_LENGTH + 1), edit), "TooLarge");
    }
  }).timeout(30_000);

  it("pollutes nothing through prototype keys", () => {
    const keys = '"__proto__":{"polluted":1,"http_filters":[]},"constructor":{"prototype":{"polluted":1}},';
    const text = JSON.stringify(SMALL).replace('"stat_prefix"', `${keys}"stat_prefix"`);
    for (const edit of [YAML_EDIT, JSON_EDIT]) {
      assert.ok(editBootstrap(text, edit).text.includes(keys));
      assert.equal(Object.hasOwn(Object.prototype, "polluted"), false);
    }
  });

  it("refuses an edit that would break out of its place", () => {
    const text = JSON.stringify(SMALL);
    const bad: readonly Partial<BootstrapEdit>[] = [
      { entries: [{ slot: "../x", phase: "last" }] },
      {
        entries: [
          { slot: "a", phase: "last" },
          { slot: "a", phase: "first" },
        ],
      },
      { root: "/a\nb" },
      { root: "relative" },
      { node: { id: "", cluster: "b" } },
      { node: { id: "a", cluster: "b c" } },
      { node: { id: "a\u2028", cluster: "b" } },
    ];
    for (const changes of bad)
      assert.equal(codeOf(text, { ...JSON_EDIT, ...changes }), "InvalidInput", JSON.stringify(changes));
  });
});

describe("bootstrapFormat", () => {
  it("reads a file as Envoy does, by its ending", () => {
    for (const path of ["a.yaml", "a.yml", "/etc/A.YAML", "a.Yml"]) assert.equal(bootstrapFormat(path), "yaml");
    for (const path of ["a.json", "a", "a.conf", "/x.yaml/y", "a.yaml.tmpl", ".pb/x"])
      assert.equal(bootstrapFormat(path), "json");
  });

  it("refuses protobuf", () => {
    for (const path of ["a.pb", "a.pb_text", "A.PB"]) {
      assert.throws(() => bootstrapFormat(path), { code: "UnsupportedFormat" });
    }
  });
});
