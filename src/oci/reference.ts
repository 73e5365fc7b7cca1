import { isIPv6 } from "node:net";
import { CodedError } from "../error.ts";
import { isDigest } from "./digest.ts";

/** Where an image is. Always in one spelling: two references to the same place compare equal as text. */
export interface Reference {
  /** Host in lower case with its port where that isn't 443: "registry.example:5000", "docker.io", "[::1]:5000". */
  readonly registry: string;
  /** Path in the registry, "team/filter"; Docker Hub's official images have their "library/" written out. */
  readonly repository: string;
  readonly tag: string | null;
  /** "sha256:<64 lower-case hex digits>". Decides, where there is a tag too. */
  readonly digest: string | null;
}

export type ReferenceErrorCode = "Empty" | "TooLong" | "BadRegistry" | "BadRepository" | "BadTag" | "BadDigest";

/** A text that is no image reference. `position` counts characters from 0. */
export class ImageReferenceError extends CodedError<ReferenceErrorCode> {
  readonly position: number;

  constructor(code: ReferenceErrorCode, text: string, position: number, allowed: string) {
    const found = position < text.length ? `${character(text, position)} at character ${position + 1}` : "the end";
    super(code, `${shown(text, position)} is not an image reference: unexpected ${found}; ${allowed}`);
    this.position = position;
  }
}

/** Of a long text, what stands around the fault. */
const SHOWN = 120;

function shown(text: string, position: number): string {
  const start = text.length <= SHOWN ? 0 : Math.max(0, Math.min(position, text.length) - SHOWN / 2);
  const end = Math.min(text.length, start + SHOWN);
  const piece = text.slice(start, end).replace(/[^\x20-\x7e]/g, "?");
  return JSON.stringify(`${start > 0 ? "…" : ""}${piece}${end < text.length ? "…" : ""}`);
}

/** A character by itself, or by its number where it would not be seen or would change how the message reads. */
function character(text: string, position: number): string {
  const point = text.codePointAt(position) ?? 0;
  if (point >= 0x20 && point <= 0x7e) return JSON.stringify(String.fromCodePoint(point));
  return `U+${point.toString(16).toUpperCase().padStart(4, "0")}`;
}

const LIMITS = { text: 1024, host: 253, label: 63, repository: 255, tag: 128 } as const;

const HOST = /[A-Za-z0-9]+(?:-+[A-Za-z0-9]+)*(?:\.[A-Za-z0-9]+(?:-+[A-Za-z0-9]+)*)*/y;
const PATH = /[a-z0-9]+(?:(?:\.|__?|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:\.|__?|-+)[a-z0-9]+)*)*/y;
const SEPARATOR = /(?:\.|__?|-+|\/)?/y;
const TAG = /\w[\w.-]*/y;

const ALLOWED = {
  host: "a registry is a host name or an IP address (IPv6 in brackets), with a port if need be",
  port: "a port is a number from 1 to 65535",
  path: 'a repository is made of lower-case letters and digits, joined by ".", "_", "__", dashes and "/"',
  tag: 'a tag starts with a letter, a digit or "_" and goes on with those, "." and "-", at most 128 characters',
  digest: 'a digest is "sha256:" and 64 lower-case hex digits',
  bare: "a digest alone names no repository: write registry/repository@sha256:…",
  scheme: 'write the reference alone or with "oci://"',
} as const;

/**
 * Reads an image reference by the grammar of the distribution project (reference/reference.go), with its rules for
 * short names of Docker Hub. Stricter in four places, each against two spellings of one place or one spelling of two:
 * only sha256 digests, no upper-case letters outside host and tag, hosts that URL parsing would rewrite ("127.1",
 * "0x7f.0.0.1") are refused, and so is a host without dot and port, which an upper-case letter would make of "Host/a".
 * @throws {ImageReferenceError}
 */
export function parseReference(text: string): Reference {
  if (text === "") throw new ImageReferenceError("Empty", text, 0, "write registry/repository:tag or @sha256:…");
  // distribution refuses these too: what looks like the id of an image is none of a repository.
  if (text.length === 64 && /^[a-f0-9]+$/.test(text))
    throw new ImageReferenceError("BadRepository", text, 0, ALLOWED.bare);
  if (text.length > LIMITS.text) {
    throw new ImageReferenceError("TooLong", text, LIMITS.text, `at most ${LIMITS.text} characters are read`);
  }
  const start = text.startsWith("oci://") ? "oci://".length : 0;
  const scheme = text.indexOf("://", start);
  if (scheme !== -1) throw new ImageReferenceError("BadRegistry", text, scheme, ALLOWED.scheme);
  const at = text.indexOf("@", start);
  const digest = at === -1 ? null : readDigest(text, at + 1);
  const named = at === -1 ? text.length : at;
  const colon = text.lastIndexOf(":", named - 1);
  const slash = text.lastIndexOf("/", named - 1);
  // The colons of "[::1]" alone are its own.
  const tagged = colon >= start && colon > slash && (text[start] !== "[" || slash > start);
  const tag = tagged ? readTag(text, colon + 1, named) : null;
  return { ...readName(text, start, tagged ? colon : named), tag, digest };
}

/** The one spelling of a reference. `parseReference` reads it back to the same value. */
export function formatReference(reference: Reference): string {
  const tag = reference.tag === null ? "" : `:${reference.tag}`;
  const digest = reference.digest === null ? "" : `@${reference.digest}`;
  return `${reference.registry}/${reference.repository}${tag}${digest}`;
}

/** The host that speaks HTTP for a registry: only Docker Hub's differs from its name. */
export function hostOf(registry: string): string {
  return registry === "docker.io" ? "registry-1.docker.io" : registry;
}

function readDigest(text: string, start: number): string {
  const digest = text.slice(start);
  if (isDigest(digest)) return digest;
  const valid = /(?:sha256:[a-f0-9]{0,64}|sha256|sha25|sha2|sha|sh|s)?/y;
  throw new ImageReferenceError("BadDigest", text, prefixEnd(valid, text, start), ALLOWED.digest);
}

function readTag(text: string, start: number, end: number): string {
  const valid = Math.min(prefixEnd(TAG, text, start), start + LIMITS.tag);
  if (valid < end || start === end) throw new ImageReferenceError("BadTag", text, valid, ALLOWED.tag);
  return text.slice(start, end);
}

function readName(text: string, start: number, end: number): Pick<Reference, "registry" | "repository"> {
  const slash = text.indexOf("/", start);
  const first = text.slice(start, slash === -1 || slash > end ? end : slash);
  if (!namesHost(first) || (slash === -1 && !first.startsWith("["))) {
    return hubName(readRepository(text, start, end));
  }
  if (slash === -1) throw new ImageReferenceError("BadRepository", text, end, ALLOWED.path);
  const registry = readRegistry(text, start, slash);
  const repository = readRepository(text, slash + 1, end);
  return registry === "docker.io" ? hubName(repository) : { registry, repository };
}

function namesHost(first: string): boolean {
  return first === "localhost" || /[.:[]/.test(first);
}

function hubName(repository: string): Pick<Reference, "registry" | "repository"> {
  return { registry: "docker.io", repository: repository.includes("/") ? repository : `library/${repository}` };
}

function readRepository(text: string, start: number, end: number): string {
  const valid = Math.min(prefixEnd(PATH, text, start), start + LIMITS.repository);
  if (valid < end || start === end) {
    // A separator is wrong only by what comes after it.
    const wrong = valid === start ? start : Math.min(prefixEnd(SEPARATOR, text, valid), end, start + LIMITS.repository);
    throw new ImageReferenceError("BadRepository", text, wrong, ALLOWED.path);
  }
  return text.slice(start, end);
}

function readRegistry(text: string, start: number, end: number): string {
  const hostEnd = text[start] === "[" ? endOfIPv6(text, start, end) : endOfHost(text, start, end);
  const host = text.slice(start, hostEnd).toLowerCase();
  const port = hostEnd === end ? null : readPort(text, hostEnd, end);
  // URL parsing is what the connection goes by: a host that it would rewrite has a second spelling.
  const hostname = isPlain(host) ? host : URL.parse(`https://${host}`)?.hostname;
  if (hostname === undefined || (hostname !== host && host[0] !== "[")) {
    throw new ImageReferenceError("BadRegistry", text, start, ALLOWED.host);
  }
  const registry = port === null || port === 443 ? hostname : `${hostname}:${port}`;
  return ["index.docker.io", "registry-1.docker.io"].includes(registry) ? "docker.io" : registry;
}

function endOfHost(text: string, start: number, end: number): number {
  const valid = prefixEnd(HOST, text, start);
  const host = text.slice(start, valid);
  const long = host.split(".").find(label => label.length > LIMITS.label);
  if (long !== undefined || host.length > LIMITS.host) {
    throw new ImageReferenceError("BadRegistry", text, start, "a host has at most 253 characters, 63 between dots");
  }
  if (valid === start || (valid < end && text[valid] !== ":")) {
    throw new ImageReferenceError("BadRegistry", text, valid, ALLOWED.host);
  }
  return valid;
}

/**
 * Whether URL parsing is sure to leave a host as it is, which is cheaper to tell than to try: no IPv4 address, as its last
 * label begins with a letter (URL standard, "ends in a number checker"), and no internationalized name ("domain to ASCII").
 * @param host in lower case, of the grammar of hosts
 */
function isPlain(host: string): boolean {
  return /(?:^|\.)[a-z][a-z0-9-]*$/.test(host) && !host.includes("xn--");
}

function endOfIPv6(text: string, start: number, end: number): number {
  const close = text.indexOf("]", start);
  if (close === -1 || close > end)
    throw new ImageReferenceError("BadRegistry", text, end, 'an IPv6 host ends with "]"');
  const address = text.slice(start + 1, close);
  if (!isIPv6(address) || address.includes("%")) {
    throw new ImageReferenceError("BadRegistry", text, start + 1, ALLOWED.host);
  }
  if (close + 1 < end && text[close + 1] !== ":") {
    throw new ImageReferenceError("BadRegistry", text, close + 1, ALLOWED.host);
  }
  return close + 1;
}

function readPort(text: string, colon: number, end: number): number {
  const digits = text.slice(colon + 1, end);
  if (/^[1-9][0-9]{0,4}$/.test(digits) && Number(digits) <= 65_535) return Number(digits);
  const valid = prefixEnd(/(?:[1-9][0-9]*)?/y, text, colon + 1);
  throw new ImageReferenceError("BadRegistry", text, valid < end ? valid : colon + 1, ALLOWED.port);
}

/** Where the longest text that `grammar` allows at `start` ends: the first character that is wrong. */
function prefixEnd(grammar: RegExp, text: string, start: number): number {
  grammar.lastIndex = start;
  return grammar.test(text) ? grammar.lastIndex : start;
}
