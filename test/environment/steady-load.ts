import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";

/** What an answer is: as wanted, without a filter, or none at all. */
export type Verdict = "Good" | "Unfiltered" | "Failed";

export interface Target {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** POST requests at a rate, whether or not earlier ones are answered. */
export interface SteadyLoad {
  /** Sent one after the other, again and again. */
  readonly targets: readonly Target[];
  readonly perSecond: number;
  /** How many may be under way at the same time: where they are, the rate falls. */
  readonly width: number;
  /** Further flags of vegeta's. */
  readonly flags: readonly string[];
  /** @param status of HTTP; 0 where there was no answer */
  readonly judge: (status: number, text: string) => Verdict;
}

export interface LoadFailure {
  /** When it was sent: milliseconds of the wall clock. */
  readonly begunAt: number;
  /** How long it took to fail, in milliseconds. */
  readonly tookMs: number;
  readonly message: string;
}

export interface LoadOutcome {
  readonly good: number;
  readonly unfiltered: number;
  readonly failures: readonly LoadFailure[];
  /** Requests a second, from the first to the last. */
  readonly perSecond: number;
}

export interface RunningLoad {
  /** How many were answered so far. */
  answered(): number;
  /** Sends no more. @returns what became of all of them, after the last answer */
  stop(): Promise<LoadOutcome>;
}

/** The members of a line of vegeta's JSON that are read. Times: RFC 3339, and nanoseconds. */
interface Line {
  readonly code: number;
  readonly timestamp: string;
  readonly latency: number;
  readonly error: string;
  readonly body: string | null;
}

/**
 * Starts vegeta.
 * @param vegeta its program
 * @param folder for what it is to send, credentials among it
 */
export async function startLoad(vegeta: string, folder: string, load: SteadyLoad): Promise<RunningLoad> {
  await mkdir(folder, { recursive: true });
  const file = join(folder, "targets");
  await writeFile(file, load.targets.map(lineOf).join(""), { mode: 0o600 });
  const pace = [`-rate=${load.perSecond}/1s`, "-duration=0", `-workers=${load.width}`, `-max-workers=${load.width}`];
  const args = ["attack", "-format=json", `-targets=${file}`, "-timeout=30s", ...pace, ...load.flags];
  const attack = spawn(vegeta, args, { stdio: ["ignore", "pipe", "inherit"] });
  const encode = spawn(vegeta, ["encode", "-to=json"], { stdio: [attack.stdout, "pipe", "inherit"] });
  // It is the other process's to read.
  attack.stdout.destroy();
  const tally = new Tally(load.judge);
  const lines = createInterface({ input: encode.stdout });
  lines.on("line", line => tally.add(JSON.parse(line) as Line));
  const ended = Promise.all([once(lines, "close"), ending(attack), ending(encode)]);
  ended.catch(() => {});
  return {
    answered: () => tally.answered,
    async stop() {
      attack.kill("SIGINT");
      await ended;
      return tally.outcome();
    },
  };
}

/** A target in vegeta's JSON form. */
function lineOf({ url, headers, body }: Target): string {
  const header = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, [value]]));
  return `${JSON.stringify({ method: "POST", url, header, body: Buffer.from(body).toString("base64") })}\n`;
}

async function ending(child: ChildProcess): Promise<void> {
  const [code, signal] = await once(child, "exit");
  if (code !== 0) throw new Error(`vegeta ended with ${code ?? signal}`);
}

class Tally {
  answered = 0;
  readonly #judge: SteadyLoad["judge"];
  readonly #failures: LoadFailure[] = [];
  #unfiltered = 0;
  #first = Number.POSITIVE_INFINITY;
  #last = 0;

  constructor(judge: SteadyLoad["judge"]) {
    this.#judge = judge;
  }

  add({ code, timestamp, latency, error, body }: Line): void {
    this.answered += 1;
    const begun = Date.parse(timestamp);
    this.#first = Math.min(this.#first, begun);
    this.#last = Math.max(this.#last, begun);
    const text = Buffer.from(body ?? "", "base64").toString();
    const verdict = this.#judge(code, text);
    if (verdict === "Unfiltered") this.#unfiltered += 1;
    if (verdict !== "Failed") return;
    this.#failures.push({ begunAt: begun, tookMs: Math.round(latency / 1e6), message: `${code}: ${text || error}` });
  }

  outcome(): LoadOutcome {
    const failures = [...this.#failures].sort((one, other) => one.begunAt - other.begunAt);
    const perSecond = (this.answered * 1000) / Math.max(1, this.#last - this.#first);
    const good = this.answered - failures.length - this.#unfiltered;
    return { good, unfiltered: this.#unfiltered, failures, perSecond };
  }
}
