import { type Generator, type Load, type LoadReport, sendLoad } from "./load.ts";
import { counter, type Memory, type Server } from "./server.ts";

/** What one load cost one server. */
export interface Measurement extends LoadReport {
  /** CPU time of the process, all its threads, user and system, as it tells itself. */
  readonly cpuSeconds: number;
  readonly perCpuSecond: number;
  readonly memory: Memory;
}

/** Sends loads to servers, no pod twice. */
export class Bench {
  readonly #generator: Generator;
  #next = 1;

  constructor(generator: Generator) {
    this.#generator = generator;
  }

  /**
   * One load on one server.
   * @throws Error where a review failed, or wasmount did not inject into every pod.
   */
  async measure(server: Server, load: Load): Promise<Measurement> {
    const before = await server.metrics();
    const report = await sendLoad(this.#generator, server.url, this.#next, load);
    const after = await server.metrics();
    // vegeta may have read some targets that it did not send.
    this.#next += report.requests + 10_000;
    const difference = (name: string, labels?: string) => counter(after, name, labels) - counter(before, name, labels);
    const injected = difference("wasmount_admission_decisions_total", 'outcome="Injected"');
    if (after.includes("wasmount_admission_decisions_total") && injected !== report.requests) {
      throw new Error(`of ${report.requests} pods, ${injected} were injected`);
    }
    const cpuSeconds = difference("process_cpu_seconds_total");
    return { ...report, cpuSeconds, perCpuSecond: report.requests / cpuSeconds, memory: await server.memory() };
  }
}

/** The middle one of a list by a number of each; of an even count the lower middle. */
export function median<Element>(elements: readonly Element[], by: (element: Element) => number): Element {
  const sorted = elements.toSorted((a, b) => by(a) - by(b));
  const middle = sorted[Math.floor((sorted.length - 1) / 2)];
  if (middle === undefined) throw new RangeError("there is no median of nothing");
  return middle;
}
