import { readFile } from "node:fs/promises";
import { Ajv2020, type ValidateFunction } from "ajv/dist/2020.js";
import { parseDocument } from "yaml";
import { messageOf } from "../error.ts";
import { schemaProblem } from "../schema-problem.ts";
import { withAuthorities } from "./authorities.ts";
import type { Config } from "./config.ts";
import { ConfigError } from "./error.ts";
import { canonicalConfig, configProblems } from "./rules.ts";
import { configSchema } from "./schema.ts";

const MAX_ALIASES = 100;

/**
 * Reads the operator's configuration file.
 * @throws ConfigError that names the file, the place in it and what would be right.
 */
export async function loadConfig(path: string): Promise<Config> {
  const text = await readFile(path, "utf8").catch(error => {
    throw new ConfigError("Unreadable", `can't read the configuration ${path}: ${messageOf(error)}`, { cause: error });
  });
  return withAuthorities(parseConfig(text, path), path);
}

/**
 * The product's own configuration, for command lines without an operator's: what a webhook alone needs, such as its
 * certificate, is named but need not exist.
 * @param image of the fetcher
 */
export function defaultConfig(image: string): Config {
  const needed = { tls: { certFile: "tls.crt", keyFile: "tls.key" }, fetcher: { image } };
  return parseConfig(JSON.stringify(needed), "the default configuration");
}

/** Parses the text of a configuration file; `name` stands for it in messages. */
export function parseConfig(text: string, name: string): Config {
  const document = parseDocument(text, { uniqueKeys: true });
  const problem = document.errors[0];
  if (problem) throw new ConfigError("NotYaml", `${name} is not YAML: ${problem.message}`);
  const config: unknown = document.toJS({ maxAliasCount: MAX_ALIASES }) ?? {};
  const validate = validator();
  const problems = validate(config)
    ? configProblems(config)
    : (validate.errors ?? []).map(error => schemaProblem(error, "the configuration"));
  if (problems.length === 0) return canonicalConfig(config as Config);
  throw new ConfigError("Invalid", `${name}: ${problems.join("; ")}`);
}

// Compiling costs more than any file it checks, and is left out where nothing is checked: of no use at every start.
let compiled: ValidateFunction<Config> | undefined;

function validator(): ValidateFunction<Config> {
  compiled ??= new Ajv2020({ allErrors: true, useDefaults: true, verbose: true }).compile<Config>(configSchema);
  return compiled;
}
