import { LRUCache } from "lru-cache";

/** TLS sessions by place, so that the next connection there need not prove everything anew (RFC 8446 section 2.2). */
export class TlsSessions {
  readonly #sessions: LRUCache<string, Buffer>;

  /** @param max places; of more, those whose last session is oldest are forgotten */
  constructor(max: number) {
    this.#sessions = new LRUCache({ max });
  }

  get(place: string): Buffer | undefined {
    return this.#sessions.peek(place);
  }

  keep(place: string, session: Buffer): void {
    this.#sessions.set(place, session);
  }
}
