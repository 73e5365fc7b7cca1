import type { DefinedType, FunctionType } from "./defined-types.ts";
import type { ValueType } from "./value-types.ts";

export type ExternalKind = "function" | "table" | "memory" | "global" | "tag";

/** The limits of a memory, in pages of 64 KiB. */
export interface MemoryType {
  readonly initialPages: number;
  readonly maximumPages: number | null;
  readonly shared: boolean;
  /** Addressed by 64 bits instead of 32. */
  readonly memory64: boolean;
}

export interface TableType {
  /** What it holds, such as "(ref null func)". */
  readonly element: ValueType;
  readonly initial: number;
  readonly table64: boolean;
}

export interface GlobalType {
  readonly type: ValueType;
  readonly mutable: boolean;
}

/** What an import asks for, or what an export gives. */
export type ExternalType =
  | { readonly kind: "function"; readonly type: FunctionType }
  | { readonly kind: "table"; readonly type: TableType }
  | { readonly kind: "memory"; readonly type: MemoryType }
  | { readonly kind: "global"; readonly type: GlobalType }
  | { readonly kind: "tag"; readonly type: FunctionType };

export interface ModuleImport {
  readonly module: string;
  readonly name: string;
  readonly external: ExternalType;
  /** Of the import's entry, in bytes from the module's start. */
  readonly offset: number;
}

export interface ModuleExport {
  readonly name: string;
  readonly external: ExternalType;
  readonly index: number;
  readonly offset: number;
}

export interface CustomSection {
  readonly name: string;
  /** Of the content after the name, in bytes. */
  readonly size: number;
  /** Of the section, in bytes from the module's start. */
  readonly offset: number;
}

/** The index spaces of a module (imports first in each) and what else is known of it, filled section by section. */
export interface ModuleContents {
  readonly types: DefinedType[];
  readonly imports: ModuleImport[];
  readonly functions: FunctionType[];
  readonly tables: TableType[];
  readonly memories: MemoryType[];
  readonly globals: GlobalType[];
  readonly tags: FunctionType[];
  readonly exports: ModuleExport[];
  readonly customSections: CustomSection[];
  /** How many functions the module defines, and how many bodies it has for them. */
  definedFunctions: number;
  bodies: number;
  /** The number that the data count section announces, where there is one. */
  announcedData: number | null;
  data: number;
}

export function emptyContents(): ModuleContents {
  return {
    types: [],
    imports: [],
    functions: [],
    tables: [],
    memories: [],
    globals: [],
    tags: [],
    exports: [],
    customSections: [],
    definedFunctions: 0,
    bodies: 0,
    announcedData: null,
    data: 0,
  };
}
