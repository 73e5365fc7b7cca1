import assert from "node:assert/strict";
import { limits } from "../../src/wasm/limits.ts";
import { bytesSource, type ModuleSource } from "../../src/wasm/module-source.ts";
import { parseModule } from "../../src/wasm/parse.ts";
import { custom, header, ids, leb, moduleBytes, type Section, sectionBytes, text } from "./encoder.ts";

function failureOf(...sections: readonly Section[]): string {
  return parseModule(bytesSource(moduleBytes(sections))).failure?.code ?? "none";
}

/** A section of `count` items, each of the same few bytes. */
function repeated(id: number, count: number, item: readonly number[]): Section {
  return { id, payload: [...leb(count), ...new Array<readonly number[]>(count).fill(item).flat()] };
}

const functionType: Section = { id: ids.type, payload: [1, 0x60, 0, 0] };
const oneFunction: Section = { id: ids.function, payload: [1, 0] };
const noMemoryName = (index: number) => [...text(index.toString(36)), 0, 0];

function exportsOf(count: number): Section {
  const items = Array.from({ length: count }, (_, index) => noMemoryName(index));
  return { id: ids.export, payload: [...leb(count), ...items.flat()] };
}

/** For each limit: a module at it and one beyond it. */
const counted: Readonly<Record<string, (count: number) => readonly Section[]>> = {
  types: count => [repeated(ids.type, count, [0x60, 0, 0])],
  imports: count => [functionType, repeated(ids.import, count, [0, 0, 0, 0])],
  functions: count => [functionType, repeated(ids.function, count, [0])],
  tables: count => [repeated(ids.table, count, [0x70, 0, 0])],
  memories: count => [repeated(ids.memory, count, [0, 0])],
  tags: count => [functionType, repeated(ids.tag, count, [0, 0])],
  globals: count => [repeated(ids.global, count, [0x7f, 0, 0x41, 0, 0x0b])],
  exports: count => [functionType, oneFunction, exportsOf(count)],
  customSections: count => new Array<Section>(count).fill(custom("x")),
  nameBytes: count => [custom("x".repeat(count))],
  values: count => [{ id: ids.type, payload: [1, 0x60, ...leb(count), ...new Array<number>(count).fill(0x7f), 0] }],
  fields: count => [
    { id: ids.type, payload: [1, 0x5f, ...leb(count), ...new Array<number[]>(count).fill([0x7f, 0]).flat()] },
  ],
  expressionInstructions: count => [
    { id: ids.global, payload: [1, 0x7f, 0, ...new Array<number[]>(count - 1).fill([0x41, 0]).flat(), 0x0b] },
  ],
};

describe("the limits of the module check", () => {
  for (const [name, sections] of Object.entries(counted))
    it(`reads ${name} up to the limit and no further`, () => {
      const most = limits[name as keyof typeof limits];
      assert.notEqual(failureOf(...sections(most)), "OverLimit");
      assert.equal(failureOf(...sections(most + 1)), "OverLimit");
    });

  it("counts the types inside recursion groups", () => {
    const group = [0x4e, ...leb(limits.types - 1), ...new Array<number[]>(limits.types - 1).fill([0x5f, 0]).flat()];
    const two = (last: readonly number[]) => ({ id: ids.type, payload: [2, ...group, ...last] });
    assert.equal(failureOf(two([0x5f, 0])), "none");
    assert.equal(failureOf(two([0x4e, 2, 0x5f, 0, 0x5f, 0])), "OverLimit");
  });

  it("reads no section beyond its size limit", () => {
    const section = { id: ids.table, payload: leb(0, 5), size: limits.sectionBytes + 1 };
    assert.equal(parseModule(sparse([sectionBytes(section)], limits.sectionBytes + 100)).failure?.code, "OverLimit");
  });

  it("passes over code, data and elements of gigabytes without reading them", () => {
    const gigabyte = 2 ** 30;
    const heads = [ids.element, ids.code, ids.data].map(id => sectionBytes({ id, payload: [0], size: gigabyte }));
    let read = 0;
    const source = sparse(heads, gigabyte - 1);
    const counting: ModuleSource = {
      size: source.size,
      read(offset, length) {
        read += length;
        return source.read(offset, length);
      },
    };
    const { failure } = parseModule(counting);
    assert.equal(failure, null);
    assert.ok(read < 2048, `${read} bytes were read`);
  });

  it("walks a million function names through a window of 64 KiB", () => {
    const count = 1_000_000;
    const names = leb(count);
    const size = names.length + 2 * count;
    const content = [...text("name"), 1, ...leb(size), ...names];
    const start = sectionBytes({ id: ids.custom, payload: content, size: content.length + 2 * count });
    let longest = 0;
    const source = sparse([start], 2 * count);
    const { failure } = parseModule({
      size: source.size,
      read(offset, length) {
        longest = Math.max(longest, length);
        return source.read(offset, length);
      },
    });
    assert.equal(failure, null);
    assert.equal(longest, 64 * 1024);
  });
});

/** A module of the given heads, each followed by that many zeroes, none of which exist in memory. */
function sparse(heads: readonly (readonly number[])[], gap: number): ModuleSource {
  const parts = new Map<number, readonly number[]>([[0, header]]);
  let size = header.length;
  for (const head of heads) {
    parts.set(size, head);
    size += head.length + gap;
  }
  return {
    size,
    read(offset, length) {
      assert.ok(length <= 100_000, `${length} bytes were asked for at once`);
      const bytes = new Uint8Array(Math.min(length, size - offset));
      for (const [start, part] of parts)
        for (const [index, byte] of part.entries())
          if (start + index >= offset && start + index < offset + bytes.length) bytes[start + index - offset] = byte;
      return bytes;
    },
  };
}
