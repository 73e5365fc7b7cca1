import { Authorizer, type Scope } from "./authorizer.ts";
import { refusal } from "./body.ts";
import type { TlsSettings } from "./connections.ts";
import { isDigest } from "./digest.ts";
import { RegistryError, type RegistryOperation } from "./error.ts";
import { mirroredRepository } from "./mirror.ts";
import type { CompleteOptions, RegistrySettings } from "./options.ts";
import { formatReference, hostOf, parseReference } from "./reference.ts";
import { pauseAfter, retrying } from "./retry.ts";
import { ShownSecrets } from "./shown-secrets.ts";
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
  readonly #registries: ReadonlyMap<string, RegistrySettings>;
  readonly #options: CompleteOptions;
  readonly #transport: Transport;
  readonly #authorizer: Authorizer;

  /** @throws {RegistryError} BadProxy */
  constructor(options: CompleteOptions) {
    this.#options = options;
    const { registries, credentials, now, limits } = options;
    this.#registries = new Map(registries.map(settings => [settings.host.toLowerCase(), settings]));
    const mirrors = registries.flatMap(settings => settings.mirrors ?? []);
    const plain = registries.filter(({ plainHttp }) => plainHttp);
    this.plainHosts = new Set(plain.map(({ host }) => urlHost(host, "http")));
    this.#transport = new Transport({
      ...options,
      plainHosts: this.plainHosts,
      namedHosts: new Set([
        ...this.plainHosts,
        ...[...registries, ...mirrors].map(({ host }) => urlHost(host, "https")),
      ]),
      tls: new Map(registries.filter(hasTlsSettings).map(settings => [urlHost(settings.host, "https"), settings])),
    });
    this.#authorizer = new Authorizer(this.#transport, { credentials, now, limits });
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
    const scheme = this.#registries.get(registry)?.plainHttp ? "http" : "https";
    const signals = [AbortSignal.timeout(this.#options.deadlineMs), this.#options.signal, signal];
    return {
      operation,
      registry,
      repository,
      actions,
      shown: new ShownSecrets(),
      subject: item !== null && ITEM.test(item) ? `${name}${isDigest(item) ? "@" : ":"}${item}` : name,
      base: new URL(`${scheme}://${host}/v2/${repository}/`),
      signal: AbortSignal.any(signals.filter(one => one !== null && one !== undefined)),
    };
  }

  /**
   * Asks a registry whether it takes our credentials (distribution-spec, "Determining Support").
   * @returns whether it asked for any
   */
  async ping(registry: string, signal?: AbortSignal): Promise<boolean> {
    // Any repository's place is at the right host; what is asked is of none.
    const { base, ...any } = this.place("login", registry, "any", "pull", null, signal);
    const place: Place = { ...any, base: new URL("/v2/", base), repository: "", subject: registry };
    const request = { method: "GET", url: place.base, redirects: "refuse", signal: place.signal } as const;
    try {
      const anonymous = await this.#transport.send(request);
      if (anonymous.status !== 401) {
        (await this.#checked(anonymous, place, [200])).body.discard();
        return false;
      }
      anonymous.body.discard();
      (await this.#accepted(request, place, [200])).body.discard();
      return true;
    } catch (error) {
      throw this.#located(error, place);
    }
  }

  /**
   * Where content can be read, best first: the registry's mirrors, then itself. All together have the time of one
   * operation, and none but the last may use it up.
   * @param proven whether a digest proves what is read: if not, only mirrors that are believed are asked
   */
  sources(
    operation: RegistryOperation,
    registry: string,
    repository: string,
    item: string | null,
    proven: boolean,
    signal?: AbortSignal,
  ): readonly [...Place[], Place] {
    const origin = this.place(operation, registry, repository, "pull", item, signal);
    const mirrors = (this.#registries.get(registry)?.mirrors ?? []).filter(({ resolveTags }) => proven || resolveTags);
    const shareMs = this.#options.deadlineMs / (mirrors.length + 1);
    const places = mirrors.map((mirror, index) => {
      const own = AbortSignal.any([origin.signal, AbortSignal.timeout(Math.ceil(shareMs * (index + 1)))]);
      return this.place(operation, mirror.host, mirroredRepository(mirror, repository), "pull", item, own);
    });
    return [...places, origin];
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
        if (method === "HEAD") response.body.discard();
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
    throw await refusal(response, place.signal, this.#options.now(), this.#options.limits.errorBytes);
  }

  /** The registry's own words stay, unless they repeat what it was shown. */
  #located(error: unknown, place: Place): unknown {
    if (!(error instanceof RegistryError)) return error;
    const repeats = error.detail !== null && place.shown.repeatedIn(error.detail);
    return (repeats ? error.withoutDetail() : error).at(place);
  }
}

/** A registry's host as URLs spell it, with its port where that isn't the scheme's. */
function urlHost(host: string, scheme: "http" | "https"): string {
  return new URL(`${scheme}://${hostOf(host.toLowerCase())}`).host;
}

function hasTlsSettings({ ca, clientCertificate, insecureTls }: TlsSettings): boolean {
  return ca !== undefined || clientCertificate !== undefined || insecureTls === true;
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
