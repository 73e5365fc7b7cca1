/** TLS sessions by place, so that the next connection there need not prove everything anew (RFC 8446 section 2.2). */
export class TlsSessions {
  readonly #max: number;
  readonly #sessions = new Map<string, Buffer>();

  /** @param max places; of more, those whose last session is oldest are forgotten */
  constructor(max: number) {
    this.#max = max;
  }

  get(place: string): Buffer | undefined {
    return this.#sessions.get(place);
  }

  keep(place: string, session: Buffer): void {
    this.#sessions.delete(place);
    this.#sessions.set(place, session);
    const [oldest] = this.#sessions.keys();
    if (this.#sessions.size > this.#max && oldest !== undefined) this.#sessions.delete(oldest);
  }
}
