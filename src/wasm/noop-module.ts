/**
 * A module that filters nothing: Proxy-Wasm ABI 0.2.1 (proxy_abi_version_0_2_1), a memory of one page, a malloc that
 * is never called, and no callback, which Envoy takes for "go on".
 */
export const noopModule: Buffer = Buffer.concat([
  section(null, [0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00]),
  // Types: () -> (), (i32) -> i32.
  section(1, [2, 0x60, 0, 0, 0x60, 1, 0x7f, 1, 0x7f]),
  section(3, [2, 0, 1]),
  section(5, [1, 0x00, 1]),
  section(7, [
    3,
    ...exported("memory", 0x02, 0),
    ...exported("proxy_abi_version_0_2_1", 0x00, 0),
    ...exported("malloc", 0x00, 1),
  ]),
  // Bodies: nothing; the constant 0.
  section(10, [2, 2, 0, 0x0b, 4, 0, 0x41, 0, 0x0b]),
]);

function section(id: number | null, content: readonly number[]): Buffer {
  return Buffer.from(id === null ? content : [id, content.length, ...content]);
}

function exported(name: string, kind: number, index: number): number[] {
  return [name.length, ...Buffer.from(name, "ascii"), kind, index];
}
