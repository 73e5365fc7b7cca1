import { RegistryError } from "./error.ts";
import type { Place, Session } from "./session.ts";
import type { TransportResponse } from "./transport.ts";

const MAX_LINK = 4096;
const TOKEN = "[!#$%&'*+.^_`|~0-9A-Za-z-]+";
const PARAMETER = new RegExp(`\\s*;\\s*(${TOKEN})\\s*=\\s*(?:"((?:[^"\\\\]|\\\\.)*)"|(${TOKEN}))`, "y");
const TARGET = /\s*<([^<>]*)>/y;
const SEPARATOR = /\s*(?:,|$)/y;

/**
 * A list that comes in pages, page by page, by the Link of each (distribution-spec, "Listing Tags" and "Listing
 * Referrers"). Pages are the registry's own: a Link to another origin is refused.
 * @param first the URL of the first page
 * @param limit pages; a list that goes on is refused, because the rest of it may be what matters
 * @param read reads one page, anew if it breaks off
 * @throws {RegistryError}
 */
export async function* pagesOf<T>(
  session: Session,
  place: Place,
  first: URL,
  headers: Readonly<Record<string, string>>,
  limit: number,
  read: (response: TransportResponse) => Promise<T>,
): AsyncGenerator<T, void, undefined> {
  let url: URL | null = first;
  for (let page = 1; url !== null; page += 1) {
    if (page > limit)
      throw new RegistryError("TooLarge", `the list has more than the ${limit} pages allowed`).at(place);
    const answer: { value: T; next: URL | null } = await session.read(place, "GET", url, headers, async response => ({
      // First, because a Link that can't be followed makes the page useless.
      next: nextPage(response, place.base.origin),
      value: await read(response),
    }));
    yield answer.value;
    url = answer.next;
  }
}

/**
 * Where the next page of a list is, or null at its end (RFC 8288). A header that can't be read is an error, not an end.
 * @throws {RegistryError} BadResponse, UnsafeRedirect
 */
export function nextPage({ headers, url }: Pick<TransportResponse, "headers" | "url">, origin: string): URL | null {
  const link = nextLink(headers["link"], url.host);
  if (link === null) return null;
  const target = URL.parse(link, url.href);
  if (target === null) throw new RegistryError("BadResponse", `${url.host} links to a next page that is no URL`);
  if (target.origin !== origin || target.username !== "" || target.password !== "") {
    throw new RegistryError("UnsafeRedirect", `${url.host} links to a next page at another origin (${target.host})`);
  }
  return target;
}

function nextLink(header: string | string[] | undefined, host: string): string | null {
  if (header === undefined) return null;
  const text = Array.isArray(header) ? header.join(",") : header;
  if (text.length > MAX_LINK) throw malformed(host);
  for (let at = 0; text.slice(at).trim() !== ""; ) {
    const { target, rel, end } = readLink(text, at, host);
    if (rel.toLowerCase().split(/\s+/).includes("next")) return target;
    at = end;
  }
  return null;
}

function readLink(text: string, start: number, host: string): { target: string; rel: string; end: number } {
  const target = matchAt(TARGET, text, start);
  if (target === null) throw malformed(host);
  let end = start + target[0].length;
  let rel = "";
  for (let parameter = matchAt(PARAMETER, text, end); parameter; parameter = matchAt(PARAMETER, text, end)) {
    // RFC 8288 section 3.3: the first one counts.
    if (parameter[1]?.toLowerCase() === "rel" && rel === "") rel = parameter[2] ?? parameter[3] ?? "";
    end += parameter[0].length;
  }
  const separator = matchAt(SEPARATOR, text, end);
  if (separator === null) throw malformed(host);
  return { target: target[1] ?? "", rel, end: end + separator[0].length };
}

function matchAt(pattern: RegExp, text: string, at: number): RegExpExecArray | null {
  pattern.lastIndex = at;
  return pattern.exec(text);
}

function malformed(host: string): RegistryError {
  return new RegistryError("BadResponse", `${host} sent a Link header that can't be read`);
}
