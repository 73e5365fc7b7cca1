#!/usr/bin/env node
// The launcher of a checkout. It must parse on any Node: the sources need Node 24, and where the machine's
// own node is older, the one that `npm ci` put beside the dependencies runs them.
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { constants } from "node:os";
import { fileURLToPath } from "node:url";

const main = fileURLToPath(new URL("../src/cli/main.ts", import.meta.url));
const [major, minor] = process.versions.node.split(".").map(Number);

if (major > 24 || (major === 24 && minor >= 15)) {
  await import("../src/cli/main.ts");
} else {
  const node = fileURLToPath(new URL("../node_modules/.bin/node", import.meta.url));
  if (!existsSync(node)) {
    console.error(
      `wasmount needs Node 24.15 or newer; this is ${process.version}, and there is no pinned node for ${process.platform}-${process.arch} in node_modules. Run npm ci, or install Node 24.`,
    );
    process.exit(2);
  }
  const child = spawn(node, [main, ...process.argv.slice(2)], { stdio: "inherit" });
  // A terminal sends its signals to both processes already; others are sent to this one alone, and passed on.
  const forwarded = ["SIGTERM", "SIGHUP"];
  const forward = signal => child.kill(signal);
  for (const signal of forwarded) process.on(signal, forward);
  process.on("SIGINT", () => {});
  child.on("error", error => {
    console.error(`wasmount: can't start ${node}: ${error.message}`);
    process.exit(2);
  });
  // The shell's convention for a program that a signal ended.
  child.on("exit", (code, signal) => process.exit(code ?? 128 + (constants.signals[signal] ?? 0)));
}
