import { RegistryError } from "./error.ts";

/** What a registry wants before it answers (RFC 9110 section 11.3; distribution's token specification for Bearer). */
export type Challenge =
  | { readonly scheme: "basic" }
  | {
      readonly scheme: "bearer";
      readonly realm: string;
      readonly service: string | null;
      readonly scope: string | null;
    };

const MAX_HEADER = 4096;
const TOKEN = "[!#$%&'*+.^_`|~0-9A-Za-z-]+";
const SCHEME = new RegExp(`\\s*,?\\s*(${TOKEN})(?=\\s|,|$)`, "y");
const PARAMETER = new RegExp(`\\s*,?\\s*(${TOKEN})\\s*=\\s*(?:"((?:[^"\\\\]|\\\\.)*)"|(${TOKEN}))`, "y");

/**
 * The challenge of a 401 that the client can answer: Bearer where it is offered, else Basic.
 * @throws {RegistryError} BadChallenge
 */
export function readChallenge(header: string | undefined): Challenge {
  if (header === undefined) throw bad("the registry answered 401 without saying how to authenticate");
  if (header.length > MAX_HEADER) throw bad(`the WWW-Authenticate header has more than ${MAX_HEADER} characters`);
  const challenges = parseChallenges(header);
  const bearer = challenges.find(({ scheme }) => scheme === "bearer");
  if (bearer) {
    const realm = bearer.parameters.get("realm");
    if (!realm) throw bad("the Bearer challenge names no realm");
    const { parameters } = bearer;
    return {
      scheme: "bearer",
      realm,
      service: parameters.get("service") ?? null,
      scope: parameters.get("scope") ?? null,
    };
  }
  if (challenges.some(({ scheme }) => scheme === "basic")) return { scheme: "basic" };
  throw bad("the registry offers neither Bearer nor Basic authentication");
}

interface ParsedChallenge {
  readonly scheme: string;
  readonly parameters: ReadonlyMap<string, string>;
}

function parseChallenges(header: string): readonly ParsedChallenge[] {
  const challenges: ParsedChallenge[] = [];
  let at = 0;
  while (header.slice(at).trim() !== "") {
    const scheme = matchAt(SCHEME, header, at);
    if (scheme === null) throw bad("the WWW-Authenticate header is malformed");
    const { parameters, end } = parseParameters(header, at + scheme[0].length);
    challenges.push({ scheme: (scheme[1] ?? "").toLowerCase(), parameters });
    at = end;
  }
  return challenges;
}

function parseParameters(header: string, start: number): { parameters: ReadonlyMap<string, string>; end: number } {
  const parameters = new Map<string, string>();
  let end = start;
  for (let match = matchAt(PARAMETER, header, end); match; match = matchAt(PARAMETER, header, end)) {
    const name = (match[1] ?? "").toLowerCase();
    if (parameters.has(name)) throw bad("the WWW-Authenticate header has a parameter twice");
    parameters.set(name, match[2]?.replace(/\\(.)/g, "$1") ?? match[3] ?? "");
    end += match[0].length;
  }
  return { parameters, end };
}

function matchAt(pattern: RegExp, text: string, at: number): RegExpExecArray | null {
  pattern.lastIndex = at;
  return pattern.exec(text);
}

function bad(message: string): RegistryError {
  return new RegistryError("BadChallenge", message);
}
