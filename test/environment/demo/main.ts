import { once } from "node:events";
import { parseArgs } from "node:util";
import { Cleanup } from "./cleanup.ts";
import { localDemo } from "./local.ts";
import { paint, Steps } from "./terminal.ts";

const HELP = `usage: npm run demo [-- --keep]

Shows the main job: builds a filter, pushes it to a registry, lets the webhook patch an annotated pod, runs the pod, and
asks for a page through Envoy. Then changes one byte of the module and shows the refusal. Everything runs as processes of
this machine, without root and without a cluster.

  --keep      leave it running until Ctrl-C
  --help      this text
`;

const { values } = parseArgs({ options: { keep: { type: "boolean" }, help: { type: "boolean" } } });
if (values.help) {
  process.stdout.write(HELP);
  process.exit(0);
}

const cleanup = new Cleanup();
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.once(signal, async () => {
    await cleanup.run();
    process.exit(130);
  });
}
try {
  const invitation = await localDemo(new Steps(), cleanup);
  if (values.keep) {
    process.stdout.write(`\nStill running. Try: ${paint("bold", invitation)}\nCtrl-C ends it.\n`);
    await once(process, "wasmount-never");
  }
  await cleanup.run();
  process.stdout.write(`\n${paint("green", "demo: ok")}\n`);
} catch (error) {
  await cleanup.run();
  process.stderr.write(`\n${paint("red", "demo: failed")}: ${error instanceof Error ? error.message : error}\n`);
  process.exitCode = 1;
}
