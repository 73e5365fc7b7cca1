import { writeSync } from "node:fs";
import { workerData } from "node:worker_threads";
import { keepRegression } from "./regressions.ts";
import { caseMemory } from "./watchdog.ts";

const { memory, milliseconds } = workerData as { memory: SharedArrayBuffer; milliseconds: number };
const { numbers, name, input } = caseMemory(memory);
let seen = 0;
let since = performance.now();

setInterval(() => {
  const current = Atomics.load(numbers, 0);
  if (current === 0 || current !== seen) {
    seen = current;
    since = performance.now();
  } else if (performance.now() - since > milliseconds) {
    const target = Buffer.from(name.subarray(0, numbers[1])).toString();
    const file = keepRegression(target, Buffer.from(input.subarray(0, numbers[2])));
    writeSync(2, `${target} does not end after ${milliseconds} ms; kept as ${file}\n`);
    process.kill(process.pid, "SIGKILL");
  }
}, 500);
