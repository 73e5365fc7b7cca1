import type { Connection, HttpRequest, HttpResponse } from "./connection.ts";
import { HttpError } from "./error.ts";

/** Makes a connection that stands. @throws what kept it from standing */
export type Dial = (signal: AbortSignal) => Promise<Connection>;

/** The connections to one place. */
interface Place {
  /** Those that stand, idle ones included. */
  readonly standing: Set<Connection>;
  readonly idle: Connection[];
  /** Connections that stand or are being made. */
  open: number;
  /** Who waits, in their order. */
  readonly waiting: Waiter[];
}

/** Takes a connection, or the leave to make one: it counts as open then. */
type Waiter = (connection: Connection | null) => void;

/** What a server may do twice with no harm (RFC 9110 section 9.2.1). */
const SAFE: readonly string[] = ["GET", "HEAD"];

/** Connections that are kept open and used again. */
export class ConnectionPool {
  readonly #max: number;
  readonly #maxIdle: number;
  readonly #places = new Map<string, Place>();
  #isClosed = false;

  /**
   * @param max connections to one place
   * @param maxIdle of these, that wait for another request
   */
  constructor(max: number, maxIdle: number) {
    this.#max = max;
    this.#maxIdle = maxIdle;
  }

  /**
   * Sends a request over a connection that is free, a new one, or the next one to become free.
   * @param key what tells places apart: connections of one key are interchangeable
   * @throws {HttpError} and what `dial`, the connection and the signal say
   */
  async exchange(key: string, dial: Dial, request: HttpRequest): Promise<HttpResponse> {
    const { place, connection } = await this.#connection(key, dial, request.signal);
    try {
      return await this.#sent(place, connection, request);
    } catch (error) {
      if (this.#isClosed || !isStale(connection, request, error)) throw error;
    }
    // Others of its age are no better.
    for (const idle of place.idle.splice(0)) idle.destroy();
    const next = await this.#connection(key, dial, request.signal);
    return this.#sent(next.place, next.connection, request);
  }

  /** Closes all connections: what is under way ends, and nothing begins any more. */
  close(): void {
    this.#isClosed = true;
    for (const { standing } of this.#places.values()) for (const connection of standing) connection.destroy();
  }

  /** How many places are known: none is of whom nothing is open and nobody waits. */
  get size(): number {
    return this.#places.size;
  }

  #sent(place: Place, connection: Connection, request: HttpRequest): Promise<HttpResponse> {
    return connection.exchange(request, isReusable => this.#free(place, connection, isReusable));
  }

  #place(key: string): Place {
    const known = this.#places.get(key);
    if (known) return known;
    const made: Place = { standing: new Set(), idle: [], open: 0, waiting: [] };
    this.#places.set(key, made);
    return made;
  }

  async #connection(key: string, dial: Dial, signal: AbortSignal): Promise<{ place: Place; connection: Connection }> {
    signal.throwIfAborted();
    const place = this.#place(key);
    // Nobody overtakes.
    const isFirst = place.waiting.length === 0;
    for (let idle = isFirst ? place.idle.pop() : undefined; idle; idle = place.idle.pop()) {
      if (idle.isUsable) return { place, connection: idle };
      idle.destroy();
    }
    if (isFirst && place.open < this.#max) {
      place.open += 1;
      return { place, connection: await this.#dialled(key, place, dial, signal) };
    }
    const connection = await turn(place, signal);
    if (connection === null) return { place, connection: await this.#dialled(key, place, dial, signal) };
    if (!signal.aborted) return { place, connection };
    this.#free(place, connection, connection.isUsable);
    throw signal.reason;
  }

  /** Makes a connection that counts as open already. */
  async #dialled(key: string, place: Place, dial: Dial, signal: AbortSignal): Promise<Connection> {
    try {
      signal.throwIfAborted();
      if (this.#isClosed) throw new HttpError("Closed", "the client was closed");
      const connection = await dial(signal);
      // Meanwhile, it may have been.
      if (this.#isClosed) connection.destroy();
      place.standing.add(connection);
      connection.onClose(() => {
        place.standing.delete(connection);
        const index = place.idle.indexOf(connection);
        if (index >= 0) place.idle.splice(index, 1);
        this.#closed(key, place);
      });
      return connection;
    } catch (error) {
      this.#closed(key, place);
      throw error;
    }
  }

  #closed(key: string, place: Place): void {
    const next = place.waiting.shift();
    if (next) return void next(null);
    place.open -= 1;
    // Registries choose by their redirects where we go: what is known of a place goes with its last connection.
    if (place.open === 0 && this.#places.get(key) === place) this.#places.delete(key);
  }

  #free(place: Place, connection: Connection, isReusable: boolean): void {
    if (!isReusable) return void connection.destroy();
    const next = place.waiting.shift();
    if (next === undefined && place.idle.length >= this.#maxIdle) return void connection.destroy();
    connection.rest();
    if (next) next(connection);
    else place.idle.push(connection);
  }
}

/** Whether the server closed a connection that had waited, and has read nothing: what it has not answered is safe to repeat. */
function isStale(connection: Connection, { method, signal }: HttpRequest, error: unknown): boolean {
  const isSilent = error instanceof HttpError && error.code === "Silent";
  return connection.isReused && !connection.hasAnswered && !isSilent && !signal.aborted && SAFE.includes(method);
}

/** Waits in line. @throws the signal's reason, where it comes before the turn */
function turn({ waiting }: Place, signal: AbortSignal): Promise<Connection | null> {
  return new Promise((resolve, reject) => {
    const left = () => {
      waiting.splice(waiting.indexOf(come), 1);
      reject(signal.reason);
    };
    const come: Waiter = connection => {
      signal.removeEventListener("abort", left);
      resolve(connection);
    };
    signal.addEventListener("abort", left, { once: true });
    waiting.push(come);
  });
}
