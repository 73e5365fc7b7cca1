/**
 * How much of a module the check reads. A count is also bounded by the bytes that back it; these bounds keep a
 * hostile module from costing more memory than the largest real one. Sections that are skipped (code, data,
 * elements) have none. Where V8 has a limit of its own (wasm-limits.h), ours is not above it.
 */
export const limits = {
  types: 50_000,
  /** Parameters of one function type, and results: V8's limits. */
  values: 1_000,
  /** Fields of one struct: V8's limit. */
  fields: 2_000,
  imports: 10_000,
  functions: 1_000_000,
  tables: 10_000,
  memories: 1_000,
  globals: 100_000,
  tags: 100_000,
  exports: 100_000,
  customSections: 1_000,
  /** V8's limit on every name. */
  nameBytes: 100_000,
  /** Instructions of one constant expression. */
  expressionInstructions: 10_000,
  /** Bytes of each section that is read. */
  sectionBytes: 2 * 1024 * 1024,
} as const;
