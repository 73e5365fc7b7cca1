import {
  type Bytes,
  body,
  functionType,
  ids,
  leb,
  moduleBytes,
  type Section,
  section,
  text,
  vector,
  zeroBody,
} from "./encoder.ts";

/** What a fixture is built from. Everything left out is that of a good filter. */
export interface FilterParts {
  /** "0_1_0", "0_2_0" or "0_2_1"; null for a module without the marker. */
  readonly abi?: string | null;
  /** Function imports: module, name, signature. */
  readonly imports?: readonly (readonly [string, string, string])[];
  /** Other imports, as bytes of the import's kind and type. */
  readonly rawImports?: readonly (readonly [string, string, Bytes])[];
  /** Exported functions besides the ABI marker: name to signature. Their bodies return zeroes. */
  readonly functions?: Readonly<Record<string, string>>;
  /** The index of a function's type, where it isn't to be the plain type of its signature. */
  readonly functionTypes?: Readonly<Record<string, number>>;
  /** Instructions instead of zeroes, by exported name. */
  readonly bodies?: Readonly<Record<string, Bytes>>;
  /** Memory types. */
  readonly memories?: readonly Bytes[];
  /** Exports of other kinds: name, kind, index. */
  readonly rawExports?: readonly (readonly [string, number, number])[];
  /** Further type entries, before all others. */
  readonly rawTypes?: readonly Bytes[];
  /** How many types those define, where a recursion group makes it another number than that of the entries. */
  readonly rawTypeCount?: number;
  readonly tables?: readonly Bytes[];
  readonly globals?: readonly Bytes[];
  readonly tags?: readonly Bytes[];
  readonly start?: number;
  readonly elements?: readonly Bytes[];
  readonly data?: readonly Bytes[];
  readonly dataCount?: number;
  /** Custom sections after all others. */
  readonly customs?: readonly Section[];
}

/** The sections of a filter, in order, so that a test can drop, repeat or bend one. */
export function filterSections(parts: FilterParts = {}): Section[] {
  const types: Bytes[] = [...(parts.rawTypes ?? [])];
  const interned = new Map<string, number>();
  const offset = (parts.rawTypeCount ?? types.length) - types.length;
  const typeOf = (signature: string): number => {
    const known = interned.get(signature);
    if (known !== undefined) return known;
    const index = types.length + offset;
    interned.set(signature, index);
    types.push(functionType(signature));
    return index;
  };
  const imports = [
    ...(parts.imports ?? []).map(([module, name, signature]) => [
      ...text(module),
      ...text(name),
      0,
      ...leb(typeOf(signature)),
    ]),
    ...(parts.rawImports ?? []).map(([module, name, type]) => [...text(module), ...text(name), ...type]),
  ];
  const importedFunctions =
    (parts.imports ?? []).length + (parts.rawImports ?? []).filter(([, , type]) => type[0] === 0).length;
  const functions = Object.entries(exportedFunctions(parts));
  const exports = functions.map(([name], index) => [...text(name), 0, ...leb(importedFunctions + index)]);
  for (const [name, kind, index] of parts.rawExports ?? [["memory", 2, 0]])
    exports.push([...text(name), kind, ...leb(index)]);
  const functionTypes = functions.map(([name, signature]) => leb(parts.functionTypes?.[name] ?? typeOf(signature)));
  const code = functions.map(([name, signature]) => {
    const instructions = parts.bodies?.[name];
    return instructions ? body(instructions) : zeroBody(signature);
  });
  const optional = (id: number, items: readonly Bytes[] | undefined): Section[] =>
    items && items.length > 0 ? [section(id, items)] : [];
  return [
    ...optional(ids.type, types),
    ...optional(ids.import, imports),
    ...optional(ids.function, functionTypes),
    ...optional(ids.table, parts.tables),
    ...optional(ids.memory, parts.memories ?? [[0, 1]]),
    ...optional(ids.tag, parts.tags),
    ...optional(ids.global, parts.globals),
    ...optional(ids.export, exports),
    ...(parts.start === undefined ? [] : [{ id: ids.start, payload: leb(parts.start) }]),
    ...optional(ids.element, parts.elements),
    ...(parts.dataCount === undefined ? [] : [{ id: ids.dataCount, payload: leb(parts.dataCount) }]),
    ...optional(ids.code, code),
    ...(parts.data ? [{ id: ids.data, payload: vector(parts.data) }] : []),
    ...(parts.customs ?? []),
  ];
}

function exportedFunctions(parts: FilterParts): Record<string, string> {
  const marker = parts.abi === null ? {} : { [`proxy_abi_version_${parts.abi ?? "0_2_1"}`]: ":" };
  return { ...marker, ...(parts.functions ?? { malloc: "i:i" }) };
}

/** A whole filter: by default the smallest that Envoy loads. */
export function filter(parts: FilterParts = {}): Uint8Array {
  return moduleBytes(filterSections(parts));
}
