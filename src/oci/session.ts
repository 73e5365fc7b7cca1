import { Authorizer, type Scope } from "./authorizer.ts";
import { refusal } from "./body.ts";
import { isDigest } from "./digest.ts";
import { RegistryError, type RegistryOperation } from "./error.ts";
import type { CompleteOptions } from "./options.ts";
import { formatReference, hostOf, parseReference } from "./reference.ts";
import { pauseAfter, retrying } from "./retry.ts";
import { Transport, type TransportRequest, type TransportResponse } from "./transport.ts";

/** One operation on one repository: whom to ask, with which rights, for how long. */
export interface Place extends Scope {
  readonly operation: RegistryOperation;
  /** "registry.example/team/filter:v1", for messages. */
  readonly subject: string;
  /** The URL of the repository, with a slash at its end. */
  readonly base: URL;
  readonly signal: AbortSignal;
}

/** Requests of one client: authorised, retried where that is safe, with every failure in the client's own terms. */
export class Session {
  /** Hosts, as URLs spell them, that http: URLs may name. */
  readonly plainHosts: ReadonlySet<string>;
  readonly #plainRegistries: ReadonlySet<string>;
  readonly #options: CompleteOptions;
  readonly #transport: Transport;
  readonly #authorizer: Authorizer;

  constructor(options: CompleteOptions) {
    this.#options = options;
    const plain = options.registries.filter(({ plainHttp }) => plainHttp);
    this.#plainRegistries = new Set(plain.map(({ host }) => host.toLowerCase()));
    this.plainHosts = new Set([...this.#plainRegistries].map(host => new URL(`http://${hostOf(host)}`).host));
    const { plainHosts } = this;
    const { userAgent, timeouts, maxSockets, credentials, now } = options;
    this.#transport = new Transport({ plainHosts, userAgent, timeouts, maxSockets });
    this.#authorizer = new Authorizer(this.#transport, credentials, now);
  }

  /**
   * Starts an operation and its clock.
   * @param item the tag or digest that it is about
   * @throws {ImageReferenceError} where registry or repository aren't in the one spelling of references
   */
  place(
    operation: RegistryOperation,
    registry: string,
    repository: string,
    actions: Scope["actions"],
    item: string | null,
    signal?: AbortSignal,
  ): Place {
    const name = formatReference({ registry, repository, tag: null, digest: null });
    const parsed = parseReference(name);
    if (formatReference(parsed) !== name || parsed.registry !== registry || parsed.repository !== repository) {
      throw new RegistryError("Rejected", "registry and repository are not in the spelling of parseReference");
    }
    const host = hostOf(registry);
    const scheme = this.#plainRegistries.has(registry) ? "http" : "https";
    const signals = [AbortSignal.timeout(this.#options.deadlineMs), this.#options.signal, signal];
    return {
      operation,
      registry,
      repository,
      actions,
      subject: item !== null && ITEM.test(item) ? `${name}${isDigest(item) ? "@" : ":"}${item}` : name,
      base: new URL(`${scheme}://${host}/v2/${repository}/`),
      signal: AbortSignal.any(signals.filter(one => one !== null && one !== undefined)),
    };
  }

  /**
   * A request that may be repeated. `use` reads the response, and what it throws counts as a failed try too.
   * @param target a path below the repository, such as "manifests/latest", or a URL of the registry's own origin
   */
  async read<T>(
    place: Place,
    method: "GET" | "HEAD",
    target: string | URL,
    headers: Readonly<Record<string, string>>,
    use: (response: TransportResponse) => Promise<T>,
    statuses: readonly number[] = [200],
  ): Promise<T> {
    const request: TransportRequest = {
      method,
      url: typeof target === "string" ? urlBelow(place, target) : target,
      headers,
      redirects: "follow",
      signal: place.signal,
    };
    try {
      return await this.repeated(place, async () => {
        const response = await this.#accepted(request, place, statuses);
        // An answer without a body must be read all the same for its connection to be used again.
        if (method === "HEAD") response.body.resume();
        return use(response).catch(error => {
          response.body.destroy();
          throw error;
        });
      });
    } catch (error) {
      throw this.#located(error, place);
    }
  }

  /** Runs what may be repeated until it succeeds, fails for a reason that won't pass, or was tried often enough. */
  repeated<T>(place: Place, attempt: () => Promise<T>): Promise<T> {
    return retrying(this.#options.retry, this.#options, place.signal, attempt);
  }

  /** Waits for the next try of something that failed `tried` times. @throws the error where none is left */
  pauseAfter(place: Place, error: unknown, tried: number): Promise<void> {
    return pauseAfter(error, tried, this.#options.retry, this.#options, place.signal);
  }

  /** A request that is sent once. */
  async write(
    place: Place,
    request: Omit<TransportRequest, "redirects" | "signal" | "authorization">,
    statuses: readonly number[],
  ): Promise<TransportResponse> {
    try {
      const whole: TransportRequest = { ...request, redirects: "refuse", signal: place.signal };
      // Another origin than the registry's was chosen by the registry and gets nothing but the content.
      if (request.url.origin !== place.base.origin)
        return await this.#checked(await this.#transport.send(whole), place, statuses);
      return await this.#accepted(whole, place, statuses);
    } catch (error) {
      throw this.#located(error, place);
    }
  }

  close(): void {
    this.#transport.close();
  }

  async #accepted(request: TransportRequest, place: Place, statuses: readonly number[]): Promise<TransportResponse> {
    return this.#checked(await this.#authorizer.send(request, place), place, statuses);
  }

  async #checked(response: TransportResponse, place: Place, statuses: readonly number[]): Promise<TransportResponse> {
    if (statuses.includes(response.status)) return response;
    throw await refusal(response, place.signal, this.#options.now());
  }

  #located(error: unknown, place: Place): unknown {
    return error instanceof RegistryError ? error.at(place) : error;
  }
}

/** A tag or a digest: nothing that means something in a URL. */
const ITEM = /^[A-Za-z0-9_][A-Za-z0-9_.:-]{0,127}$/;

/** The URL of something in the repository: one that can't have left it, whatever the path holds. */
export function urlBelow(place: Place, path: string): URL {
  const [, kind, item = ""] = /^(manifests|blobs|referrers|tags)\/(.*)$/s.exec(path) ?? [];
  if (kind === undefined || !(ITEM.test(item) || item === "uploads/")) {
    throw new RegistryError("Rejected", "it is neither a tag nor a sha256 digest").at(place);
  }
  return new URL(path, place.base);
}
