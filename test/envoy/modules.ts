import { createHash } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { spawnChecked } from "../environment/spawn.ts";

/** A module that lets every request pass: what the ABI asks for and nothing else. */
export const NO_OP_MODULE = Buffer.from(
  "AGFzbQEAAAABCQJgAABgAX8BfwMDAgABBQMBAAEHLQMGbWVtb3J5AgAXcHJveHlfYWJpX3ZlcnNpb25fMF8yXzEAAAZtYWxsb2MAAQoJAgIACwQAQQAL",
  "base64",
);

export function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** AssemblyScript: answers every request itself, with the plugin configuration as the body. */
const ECHO = `
@external("env", "proxy_get_buffer_bytes")
declare function getBuffer(type: i32, start: i32, size: i32, data: usize, length: usize): i32;
@external("env", "proxy_send_local_response")
declare function respond(status: i32, details: usize, detailsLength: i32, body: usize, length: i32, headers: usize, headersLength: i32, grpc: i32): i32;

const found = memory.data(8);

export function proxy_abi_version_0_2_1(): void {}

export function malloc(size: usize): usize {
  return heap.alloc(size);
}

export function proxy_on_configure(context: i32, size: i32): i32 {
  const PLUGIN_CONFIGURATION = 7;
  if (size > 0) getBuffer(PLUGIN_CONFIGURATION, 0, size, found, found + 4);
  return 1;
}

export function proxy_on_request_headers(context: i32, count: i32, end: i32): i32 {
  respond(200, 0, 0, load<usize>(found), load<i32>(found + 4), 0, 0, -1);
  return 1;
}
`;

/** AssemblyScript: traps at every request. */
const TRAP = `
export function proxy_abi_version_0_2_1(): void {}

export function malloc(size: usize): usize {
  return heap.alloc(size);
}

export function proxy_on_request_headers(context: i32, count: i32, end: i32): i32 {
  unreachable();
  return 0;
}
`;

/** Builds a module that echoes its configuration. @param folder where source and module are written */
export function buildEchoModule(folder: string): Promise<string> {
  return buildModule(folder, "echo", ECHO);
}

/** Builds a module that traps at every request. @param folder where source and module are written */
export function buildTrapModule(folder: string): Promise<string> {
  return buildModule(folder, "trap", TRAP);
}

async function buildModule(folder: string, name: string, text: string): Promise<string> {
  const source = join(folder, `${name}.ts`);
  const output = join(folder, `${name}.wasm`);
  await writeFile(source, text);
  const compiler = createRequire(import.meta.url).resolve("assemblyscript/bin/asc.js");
  const options = ["--runtime", "stub", "--use", "abort=", "-O", "-o", output];
  await spawnChecked(process.execPath, [compiler, source, ...options], { cwd: dirname(source) });
  return output;
}
