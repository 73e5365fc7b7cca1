import { RegistryError } from "./error.ts";

/** What a registry wants before it answers (RFC 9110 section 11.3; distribution's token specification for Bearer). */
export type Challenge = BasicChallenge | BearerChallenge;

export interface BasicChallenge {
  readonly scheme: "basic";
}

export interface BearerChallenge {
  readonly scheme: "bearer";
  readonly realm: string;
  readonly service: string | null;
  readonly scope: string | null;
}

interface ParsedChallenge {
  readonly scheme: string;
  readonly parameters: Map<string, string>;
}

const MAX_HEADER = 4096;
const MAX_CHALLENGES = 8;
// RFC 9110 sections 5.6.2, 5.6.4, 11.2 and 11.3. Each is tried where the one before ended, and none can backtrack far.
const TOKEN = "[!#$%&'*+.^_`|~0-9A-Za-z-]+";
const QUOTED = '"((?:[\\t \\x21\\x23-\\x5b\\x5d-\\x7e\\x80-\\xff]|\\\\[\\t \\x21-\\x7e\\x80-\\xff])*)"';
const SEPARATOR = /[\t ]*(?:,[\t ]*)*/y;
const PARAMETER = new RegExp(`(${TOKEN})[\\t ]*=[\\t ]*(?:${QUOTED}|(${TOKEN}))(?=[\\t ]*(?:,|$))`, "y");
const SCHEME = new RegExp(`(${TOKEN})(?=[\\t ]|,|$)[\\t ]*`, "y");
const TOKEN68 = /[A-Za-z0-9._~+/-]+=*(?=[\t ]*(?:,|$))/y;

/**
 * The challenge of a 401 that the client can answer: the first Bearer one with a realm, else Basic.
 * @param header all WWW-Authenticate headers, joined by commas as Node does (RFC 9110 section 5.3)
 * @throws {RegistryError} BadChallenge
 */
export function readChallenge(header: string | undefined): Challenge {
  if (header === undefined) throw bad("the registry answered 401 without saying how to authenticate");
  if (header.length > MAX_HEADER) throw bad(`the WWW-Authenticate header has more than ${MAX_HEADER} characters`);
  const challenges = parseChallenges(header);
  for (const { scheme, parameters } of challenges) {
    const realm = parameters.get("realm");
    if (scheme !== "bearer" || !realm) continue;
    return { scheme, realm, service: parameters.get("service") ?? null, scope: parameters.get("scope") ?? null };
  }
  if (challenges.some(({ scheme }) => scheme === "basic")) return { scheme: "basic" };
  if (challenges.some(({ scheme }) => scheme === "bearer")) throw bad("the Bearer challenge names no realm");
  throw bad("the registry offers neither Bearer nor Basic authentication");
}

/**
 * All challenges of a header. Commas part challenges as well as a challenge's parameters: what follows one is a
 * parameter where it has the form of one, else the next challenge.
 */
function parseChallenges(header: string): readonly ParsedChallenge[] {
  const text = new Cursor(header);
  const challenges: ParsedChallenge[] = [];
  for (text.take(SEPARATOR); !text.ended; text.take(SEPARATOR)) {
    const current = challenges.at(-1);
    const parameter = current && text.take(PARAMETER);
    if (parameter) {
      addParameter(current, parameter);
      continue;
    }
    const scheme = text.take(SCHEME)?.[1];
    if (scheme === undefined) throw malformed();
    if (challenges.length === MAX_CHALLENGES) throw bad(`the registry offers more than ${MAX_CHALLENGES} challenges`);
    const next: ParsedChallenge = { scheme: scheme.toLowerCase(), parameters: new Map() };
    challenges.push(next);
    // "a=b" is a parameter, "a=" is credentials of another scheme's own form.
    const first = text.take(PARAMETER);
    if (first) addParameter(next, first);
    else if (text.lacksComma && text.take(TOKEN68) === null) throw malformed();
  }
  return challenges;
}

function addParameter({ parameters }: ParsedChallenge, [, written = "", quoted, plain]: RegExpExecArray): void {
  const name = written.toLowerCase();
  if (parameters.has(name)) throw bad("the WWW-Authenticate header has a parameter twice");
  parameters.set(name, quoted?.replace(/\\(.)/g, "$1") ?? plain ?? "");
}

/** A text that is read from left to right. */
class Cursor {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  get ended(): boolean {
    return this.#at >= this.#text.length;
  }

  /** Whether the current element of the list goes on. */
  get lacksComma(): boolean {
    return !this.ended && this.#text[this.#at] !== ",";
  }

  /** What a sticky pattern matches here, which is then read. */
  take(pattern: RegExp): RegExpExecArray | null {
    pattern.lastIndex = this.#at;
    const match = pattern.exec(this.#text);
    if (match) this.#at = pattern.lastIndex;
    return match;
  }
}

function malformed(): RegistryError {
  return bad("the WWW-Authenticate header is malformed");
}

function bad(message: string): RegistryError {
  return new RegistryError("BadChallenge", message);
}
