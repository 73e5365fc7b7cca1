/** Beside the image's entry: the command line, an ES module. */
export const COMMANDS = "commands.mjs";

/** Beside the image's entry: the fetcher alone, a CommonJS script. */
export const FETCHER = "fetch.cjs";
