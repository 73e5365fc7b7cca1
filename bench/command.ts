import { cpus } from "node:os";
import { Command, InvalidArgumentError } from "commander";
import { messageOf } from "../src/error.ts";
import { reporter } from "../test/environment/cluster/progress.ts";

/** Where a benchmark says what it does. */
export const { progress, end } = reporter(process.stderr, () => performance.now());

/**
 * The command line of a benchmark, without its options. Exit status: 0 measured, 1 failed, 2 wrong usage.
 * @param name as in `npm run NAME`
 */
export function benchmark<Options>(
  name: string,
  description: string,
  main: (options: Options) => Promise<void>,
): Command {
  return new Command(name)
    .description(description)
    .showHelpAfterError("(add --help for what there is)")
    .exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : 2))
    .action(async (options: Options) => {
      try {
        await main(options);
      } catch (error) {
        end();
        process.stderr.write(`${name}: ${messageOf(error)}\n`);
        process.exitCode = 1;
      }
    });
}

/** Reads an option's value. */
export function integer(least: number, most: number): (text: string) => number {
  return text => {
    const value = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
    if (value >= least && value <= most) return value;
    throw new InvalidArgumentError(`integers from ${least} to ${most} are allowed.`);
  };
}

/** What numbers depend on, beside what is measured. */
export function thisMachine(): { readonly cpu: string; readonly cores: number; readonly node: string } {
  return { cpu: cpus()[0]?.model ?? "unknown CPU", cores: cpus().length, node: process.versions.node };
}
