import assert from "node:assert/strict";
import { createServer, type LookupFunction } from "node:net";
import { readBody } from "../../src/oci/body.ts";
import { resolveLocation } from "../../src/oci/redirect.ts";
import { Transport, type TransportOptions, type TransportRequest } from "../../src/oci/transport.ts";
import { coded, type Script, type ScriptedServer, Stage } from "./scripted-server.ts";

const to =
  (location: string | (() => string), status = 307): Script =>
  (_request, response) => {
    response.writeHead(status, { location: typeof location === "string" ? location : location() }).end();
  };
const hello: Script = (_request, response) => void response.end("hello");

describe("Transport", () => {
  const stage = new Stage();
  const transports: Transport[] = [];

  afterEach(async () => {
    for (const transport of transports.splice(0)) transport.close();
    await stage.clear();
  });

  function transportTo(servers: readonly ScriptedServer[], options: Partial<TransportOptions> = {}): Transport {
    const transport = new Transport({
      plainHosts: new Set(servers.map(({ address }) => address)),
      userAgent: "test",
      timeouts: { connectMs: 1000, idleMs: 1000 },
      limits: { redirects: 5, connections: 2 },
      ...options,
    });
    transports.push(transport);
    return transport;
  }

  function get(server: { readonly address: string }, change: Partial<TransportRequest> = {}): TransportRequest {
    const url = new URL(`http://${server.address}/v2/a`);
    return { method: "GET", url, redirects: "follow", signal: new AbortController().signal, ...change };
  }

  it("follows a redirect to another host without the Authorization", async () => {
    const storage = await stage.serve(hello);
    const registry = await stage.serve(to(() => `http://${storage.address}/blob?sig=1`));
    const response = await transportTo([registry, storage]).send(get(registry, { authorization: "Bearer secret" }));
    const body = await readBody(response, 100, "the body", AbortSignal.timeout(1000));
    assert.equal(body.toString(), "hello");
    assert.equal(registry.seen[0]?.authorization, "Bearer secret");
    assert.deepEqual(
      storage.seen.map(({ url, authorization }) => [url, authorization]),
      [["/blob?sig=1", null]],
    );
  });

  it("keeps the Authorization inside its origin, and does not send it again after leaving", async () => {
    const away: ScriptedServer = await stage.serve(to(() => `http://${registry.address}/back`));
    const registry: ScriptedServer = await stage.serve((request, response, body) => {
      const hops: Record<string, Script> = {
        "/v2/a": to("/v2/b"),
        "/v2/b": to(() => `http://${away.address}/`),
        "/back": hello,
      };
      hops[request.url ?? ""]?.(request, response, body);
    });
    const response = await transportTo([registry, away]).send(get(registry, { authorization: "Bearer secret" }));
    response.body.discard();
    assert.deepEqual(
      registry.seen.map(({ authorization }) => authorization),
      ["Bearer secret", "Bearer secret", null],
    );
    assert.equal(away.seen[0]?.authorization, null);
  });

  it("gives up on redirects that lead nowhere", async () => {
    const registry = await stage.serve(to("/v2/a"));
    await assert.rejects(transportTo([registry]).send(get(registry)), coded("TooManyRedirects"));
    assert.equal(registry.seen.length, 6);
  });

  it("gives back the connection of a redirect that it refuses", async () => {
    const registry = await stage.serve((request, response, body) => {
      (request.url === "/v2/a" ? to("ftp://files.example/") : hello)(request, response, body);
    });
    const transport = transportTo([registry], { limits: { redirects: 5, connections: 1 } });
    await assert.rejects(transport.send(get(registry)), coded("UnsafeRedirect"));
    const url = new URL(`http://${registry.address}/v2/b`);
    const response = await transport.send(get(registry, { url, signal: AbortSignal.timeout(900) }));
    assert.equal((await readBody(response, 10, "the body", AbortSignal.timeout(900))).toString(), "hello");
  });

  it("follows no redirect of a request that must not be redirected", async () => {
    const other = await stage.serve(hello);
    const registry = await stage.serve(to(() => `http://${other.address}/`));
    const request = get(registry, { method: "PUT", redirects: "refuse" });
    await assert.rejects(transportTo([registry, other]).send(request), coded("UnsafeRedirect"));
    assert.equal(other.seen.length, 0);
  });

  it("speaks plain HTTP to named hosts only, redirected or not", async () => {
    const other = await stage.serve(hello);
    const registry = await stage.serve(to(() => `http://${other.address}/`));
    await assert.rejects(transportTo([registry]).send(get(registry)), coded("UnsafeRedirect"));
    await assert.rejects(transportTo([registry]).send(get(other)), coded("UnsafeRedirect"));
    assert.equal(other.seen.length, 0);
  });

  it("never dials a metadata address, however it is named", async () => {
    for (const host of ["169.254.169.254", "[::ffff:169.254.169.254]", "[fd00:ec2::254]", "0xa9fea9fe"]) {
      const registry = await stage.serve(to(`https://${host}/latest/meta-data`));
      await assert.rejects(transportTo([registry]).send(get(registry)), coded("ForbiddenAddress"), host);
    }
    const literal = { address: "169.254.169.254" } as ScriptedServer;
    await assert.rejects(transportTo([literal]).send(get(literal)), coded("ForbiddenAddress"));
  });

  it("never dials a name that resolves to a metadata address", async () => {
    const named = { address: "registry.test:80" } as ScriptedServer;
    const resolver = (_name: string, _options: unknown, callback: (error: null, all: unknown) => void) =>
      callback(null, [{ address: "169.254.169.254", family: 4 }]);
    const options = { lookup: resolver as unknown as LookupFunction, plainHosts: new Set(["registry.test"]) };
    await assert.rejects(transportTo([], options).send(get(named)), coded("ForbiddenAddress"));
  });

  it("asks for no coding and refuses one", async () => {
    const seen: unknown[] = [];
    const registry = await stage.serve((request, response) => {
      seen.push(request.headers["accept-encoding"]);
      response.writeHead(200, { "content-encoding": "gzip" }).end("x");
    });
    const response = await transportTo([registry]).send(get(registry));
    await assert.rejects(readBody(response, 10, "the body", AbortSignal.timeout(1000)), coded("BadResponse"));
    assert.deepEqual(seen, ["identity"]);
  });

  it("reads no body larger than allowed, announced or not", async () => {
    const announced = await stage.serve(
      (_request, response) => void response.writeHead(200, { "content-length": "11" }).end("x".repeat(11)),
    );
    const endless = await stage.serve((_request, response) => {
      const more = () => {
        while (!response.destroyed && response.write("x".repeat(1024)));
      };
      response.on("drain", more);
      more();
    });
    for (const server of [announced, endless]) {
      const response = await transportTo([server]).send(get(server));
      await assert.rejects(readBody(response, 10, "the body", AbortSignal.timeout(5000)), coded("TooLarge"));
    }
  });

  it("refuses an announced size before the body comes", async () => {
    const server = await stage.serve((_request, response) => {
      response.writeHead(200, { "content-length": "11" });
      response.flushHeaders();
    });
    const response = await transportTo([server]).send(get(server));
    await assert.rejects(readBody(response, 10, "the body", AbortSignal.timeout(5000)), coded("TooLarge"));
  });

  it("ends a silent connection, before the answer and in the middle of it", async () => {
    const silent = await stage.serve(() => {});
    const halting = await stage.serve((_request, response) => void response.write("hel"));
    const timeouts = { connectMs: 1000, idleMs: 30 };
    await assert.rejects(transportTo([silent], { timeouts }).send(get(silent)), coded("Timeout", /silent for 30 ms/));
    const response = await transportTo([halting], { timeouts }).send(get(halting));
    const reading = readBody(response, 10, "the body", new AbortController().signal);
    await assert.rejects(reading, coded("Timeout", /silent for 30 ms/));
  });

  it("ends when its signal does, whether that is a deadline or a cancellation", async () => {
    const silent = await stage.serve(() => {});
    const late = get(silent, { signal: AbortSignal.timeout(20) });
    await assert.rejects(transportTo([silent]).send(late), coded("Timeout"));
    const stop = new AbortController();
    const stopped = transportTo([silent]).send(get(silent, { signal: stop.signal }));
    stop.abort();
    await assert.rejects(stopped, coded("Cancelled"));
  });

  it("tells a refused connection and a server of something else apart from an answer", async () => {
    const gone = await stage.serve(hello);
    await gone.close();
    await assert.rejects(transportTo([gone]).send(get(gone)), coded("Unreachable", /ECONNREFUSED/));
    const other = createServer(socket => void socket.end("220 mail.example ready\r\n"));
    await new Promise<void>(resolve => other.listen(0, "127.0.0.1", resolve));
    const address = other.address();
    assert.ok(address !== null && typeof address === "object");
    const mail = { address: `127.0.0.1:${address.port}` } as ScriptedServer;
    try {
      await assert.rejects(transportTo([mail]).send(get(mail)), coded("BadResponse"));
    } finally {
      other.close();
    }
  });
});

describe("resolveLocation", () => {
  const plainHosts = new Set(["plain.example"]);
  const from = (url: string, location?: string) =>
    resolveLocation(
      { status: 307, url: new URL(url), headers: location === undefined ? {} : { location } },
      plainHosts,
    );

  it("resolves what is relative and keeps to https", () => {
    assert.equal(from("https://a.example/v2/x", "/y?z").href, "https://a.example/y?z");
    assert.equal(from("https://a.example/v2/x", "//b.example/y").href, "https://b.example/y");
    assert.equal(from("http://plain.example/", "https://b.example/y").href, "https://b.example/y");
    assert.equal(from("http://plain.example/", "/y").href, "http://plain.example/y");
  });

  const refused: readonly (readonly [from: string, location: string | undefined, code: string])[] = [
    // Even to a host that may be spoken to without TLS.
    ["https://a.example/", "http://plain.example/", "UnsafeRedirect"],
    ["http://plain.example/", "http://other.example/", "UnsafeRedirect"],
    ["https://a.example/", "ftp://a.example/", "UnsafeRedirect"],
    ["https://a.example/", "file:///etc/passwd", "UnsafeRedirect"],
    ["https://a.example/", "https://user:secret@b.example/", "UnsafeRedirect"],
    ["https://a.example/", "https://[", "BadResponse"],
    ["https://a.example/", undefined, "BadResponse"],
  ];
  for (const [url, location, code] of refused) {
    it(`refuses ${location} from ${url}`, () => {
      assert.throws(() => from(url, location), coded(code));
    });
  }

  it("tells no secret of the URLs", () => {
    assert.throws(
      () => from("https://a.example/v2/?sig=1", "http://b.example/?sig=2"),
      (error: unknown) => error instanceof Error && !/sig/.test(error.message),
    );
  });
});
