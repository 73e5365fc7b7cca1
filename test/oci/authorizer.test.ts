import assert from "node:assert/strict";
import type { ServerResponse } from "node:http";
import { inspect } from "node:util";
import type { Credential, PasswordCredential } from "../../src/oci/credentials.ts";
import { digestOf } from "../../src/oci/digest.ts";
import { RegistryError } from "../../src/oci/error.ts";
import { OCI_MANIFEST } from "../../src/oci/media-types.ts";
import { parseReference } from "../../src/oci/reference.ts";
import { realmUrl } from "../../src/oci/token.ts";
import { coded, type Script, type ScriptedServer, Stage } from "./scripted-server.ts";

const password = (username: string): PasswordCredential => ({
  kind: "password",
  username,
  password: `${username}-secret`,
});
const basic = (username: string) => `Basic ${Buffer.from(`${username}:${username}-secret`).toString("base64")}`;

/** All that can be got out of an error, its causes included. */
function everything(error: Error): string {
  return inspect(error, { depth: 10, showHidden: true, maxStringLength: null });
}

describe("authentication", () => {
  const stage = new Stage();
  afterEach(() => stage.clear());

  interface Behaviour {
    /** What the token endpoint answers; default: a token for anyone. */
    readonly token?: Script;
    readonly challenge?: (address: string) => string;
    /** Which Authorization opens the registry; default: "Bearer good". */
    readonly open?: (authorization: string | undefined) => boolean;
    readonly closedStatus?: number;
  }

  /** A registry with one manifest and a token endpoint on the same host. */
  async function registryWith(behaviour: Behaviour = {}): Promise<ScriptedServer> {
    const { open = authorization => authorization === "Bearer good" } = behaviour;
    const token = behaviour.token ?? ((_request, response) => void response.end('{"token":"good"}'));
    const challenge = behaviour.challenge ?? (address => `Bearer realm="http://${address}/token",service="reg"`);
    const server: ScriptedServer = await stage.serve((request, response, body) => {
      if (request.url?.startsWith("/token")) return token(request, response, body);
      if (!open(request.headers.authorization)) {
        const status = request.headers.authorization ? (behaviour.closedStatus ?? 401) : 401;
        response.writeHead(status, { "www-authenticate": challenge(server.address) }).end();
        return;
      }
      response.writeHead(200, {
        "content-type": OCI_MANIFEST,
        "content-length": "2",
        "docker-content-digest": digestOf(Buffer.from("{}")),
      });
      response.end();
    });
    return server;
  }

  const tokenRequests = (server: ScriptedServer) => server.seen.filter(({ url }) => url.startsWith("/token"));
  const at = (server: ScriptedServer) => parseReference(`${server.address}/team/filter:v1`);

  it("fetches an anonymous token for what it wants to do, and keeps it", async () => {
    const server = await registryWith();
    const client = stage.client([server]);
    await client.resolve(at(server));
    await client.resolve(at(server));
    assert.deepEqual(
      tokenRequests(server).map(({ url, authorization }) => [url, authorization]),
      [["/token?service=reg&scope=repository%3Ateam%2Ffilter%3Apull", null]],
    );
    assert.deepEqual(
      server.seen.filter(({ method }) => method === "HEAD").map(({ authorization }) => authorization),
      [null, "Bearer good", "Bearer good"],
    );
  });

  it("asks again when the token has run out", async () => {
    const server = await registryWith({
      token: (_request, response) => void response.end('{"access_token":"good","expires_in":300}'),
    });
    let now = 0;
    const client = stage.client([server], { now: () => now });
    await client.resolve(at(server));
    now = 269_000;
    await client.resolve(at(server));
    assert.equal(tokenRequests(server).length, 1);
    now = 271_000;
    await client.resolve(at(server));
    assert.equal(tokenRequests(server).length, 2);
  });

  it("asks again when the registry no longer takes the token", async () => {
    let good = "one";
    const server = await registryWith({
      token: (_request, response) => void response.end(JSON.stringify({ token: good })),
      open: authorization => authorization === `Bearer ${good}`,
    });
    const client = stage.client([server]);
    await client.resolve(at(server));
    good = "two";
    await client.resolve(at(server));
    assert.equal(tokenRequests(server).length, 2);
  });

  it("tries the credentials in order where the realm refuses one", async () => {
    const server = await registryWith({
      token: (request, response) => {
        const right = request.headers.authorization === basic("second");
        response.writeHead(right ? 200 : 401).end(right ? '{"token":"good"}' : "");
      },
    });
    const client = stage.client([server], { credentials: () => ["first", "second", "third"].map(password) });
    await client.resolve(at(server));
    assert.deepEqual(
      tokenRequests(server).map(({ authorization }) => authorization),
      [basic("first"), basic("second")],
    );
  });

  for (const status of [401, 403]) {
    it(`tries the credentials in order where the registry answers ${status}`, async () => {
      const server = await registryWith({
        challenge: () => "Basic realm=x",
        open: authorization => authorization === basic("second"),
        closedStatus: status,
      });
      const client = stage.client([server], { credentials: () => ["first", "second"].map(password) });
      await client.resolve(at(server));
      assert.deepEqual(
        server.seen.map(({ authorization }) => authorization),
        [null, basic("first"), basic("second")],
      );
    });
  }

  it("asks for the next token over the connection of the refusal, of which it keeps what is to be told", async () => {
    const token: Script = (request, response) => {
      response.end(`{"token":"${request.headers.authorization === basic("third") ? "good" : "bad"}"}`);
    };
    const server = await registryWith({ token });
    const options = (...names: string[]) => ({
      credentials: () => names.map(password),
      limits: { connections: 1 },
      deadlineMs: 2000,
    });
    await stage.client([server], options("first", "second", "third")).resolve(at(server));
    const refused = stage.client([server], options("first", "second")).resolve(at(server));
    await assert.rejects(refused, coded("Unauthorized"));
  });

  it("tries eight credentials and no more", async () => {
    const server = await registryWith({ challenge: () => "Basic realm=x", open: () => false });
    const credentials = () => Array.from({ length: 50 }, (_, index) => password(`user${index}`));
    await assert.rejects(stage.client([server], { credentials }).resolve(at(server)), coded("Unauthorized"));
    assert.equal(server.seen.length, 9);
  });

  it("gives no token to callers with other credentials", async () => {
    const server = await registryWith({
      token: (request, response) => {
        const right = request.headers.authorization === basic("owner");
        response.writeHead(right ? 200 : 401).end(right ? '{"token":"good"}' : "");
      },
    });
    let caller = "owner";
    const client = stage.client([server], { credentials: () => [password(caller)] });
    await client.resolve(at(server));
    caller = "stranger";
    await assert.rejects(client.resolve(at(server)), coded("Unauthorized"));
  });

  it("shares a token request among those who have the same credential, and no others", async () => {
    const held: ServerResponse[] = [];
    const server = await registryWith({
      token: (_request, response) => void held.push(response),
      open: authorization => authorization?.startsWith("Bearer token-of-") === true,
    });
    let caller = "one";
    const client = stage.client([server], { credentials: () => [password(caller)] });
    const resolving = ["one", "one", "one", "two"].map(name => {
      caller = name;
      return client.resolve(at(server));
    });
    const challenged = () => server.seen.filter(({ method }) => method === "HEAD").length;
    while (challenged() < 4 || held.length < 2) await new Promise(setImmediate);
    // Whoever was going to ask has asked, once all four know the challenge and another round trip is over.
    await fetch(`http://${server.address}/elsewhere`);
    for (const { req } of held) assert.match(req.headers.authorization ?? "", /^Basic /);
    for (const response of held) {
      const [user] = Buffer.from(response.req.headers.authorization?.slice(6) ?? "", "base64")
        .toString()
        .split(":");
      response.end(JSON.stringify({ token: `token-of-${user}` }));
    }
    await Promise.all(resolving);
    assert.deepEqual(
      tokenRequests(server).map(({ authorization }) => authorization),
      [basic("one"), basic("two")],
    );
    const used = server.seen.filter(({ authorization }) => authorization?.startsWith("Bearer"));
    assert.deepEqual(used.map(({ authorization }) => authorization).sort(), [
      ...Array.from({ length: 3 }, () => "Bearer token-of-one"),
      "Bearer token-of-two",
    ]);
  });

  it("keeps tokens of different scopes apart", async () => {
    const server = await registryWith({
      token: (request, response) => void response.end(JSON.stringify({ token: `for-${request.url?.length}` })),
      open: authorization => authorization !== undefined,
    });
    const client = stage.client([server]);
    await client.resolve(at(server));
    await client.resolve(parseReference(`${server.address}/team/another:v1`));
    const used = server.seen.map(({ authorization }) => authorization).filter(one => one !== null);
    assert.equal(new Set(used).size, 2);
  });

  it("asks for what it wants and for what the registry says it takes", async () => {
    const server = await registryWith({
      challenge: address =>
        `Bearer realm="http://${address}/token",scope="repository:team/filter:push repository:base:pull"`,
    });
    await stage.client([server]).resolve(at(server));
    const [asked] = tokenRequests(server);
    assert.deepEqual(new URL(`http://x${asked?.url}`).searchParams.getAll("scope"), [
      "repository:base:pull",
      "repository:team/filter:pull,push",
    ]);
  });

  it("tries another credential where the one that worked is denied", async () => {
    let denied = "nobody";
    const server = await registryWith({
      challenge: () => "Basic realm=x",
      open: authorization => authorization !== undefined && authorization !== basic(denied),
      closedStatus: 403,
    });
    const client = stage.client([server], { credentials: () => ["first", "second"].map(password) });
    await client.resolve(at(server));
    denied = "first";
    await client.resolve(at(server));
    await client.resolve(at(server));
    assert.deepEqual(
      server.seen.map(({ authorization }) => authorization),
      [null, basic("first"), basic("first"), basic("first"), basic("second"), basic("second")],
    );
  });

  describe("with tokens", () => {
    const refresh: Credential = { kind: "identityToken", username: "robot", token: "refresh me" };
    const form = (server: ScriptedServer) => {
      const [first] = tokenRequests(server);
      return { method: first?.method, ...Object.fromEntries(new URLSearchParams(first?.body.toString())) };
    };

    it("gives an identity token to the realm by POST", async () => {
      const server = await registryWith({
        token: (_request, response) => void response.end('{"access_token":"good"}'),
      });
      await stage.client([server], { credentials: () => [refresh] }).resolve(at(server));
      assert.deepEqual(form(server), {
        method: "POST",
        grant_type: "refresh_token",
        refresh_token: "refresh me",
        service: "reg",
        client_id: "wasmount",
        scope: "repository:team/filter:pull",
      });
      assert.deepEqual(
        tokenRequests(server).map(({ url, authorization }) => [url, authorization]),
        [["/token", null]],
      );
    });

    const basicRefresh = `Basic ${Buffer.from("robot:refresh me").toString("base64")}`;
    for (const status of [404, 405]) {
      it(`asks the other way where the realm answers ${status}`, async () => {
        const server = await registryWith({
          token: (request, response) => {
            if (request.method === "POST") return void response.writeHead(status).end("no POST");
            response.end('{"token":"good"}');
          },
        });
        await stage.client([server], { credentials: () => [refresh] }).resolve(at(server));
        assert.deepEqual(
          tokenRequests(server).map(({ method, authorization }) => [method, authorization]),
          [
            ["POST", null],
            ["GET", basicRefresh],
          ],
        );
        const post = await registryWith({
          token: (request, response) => {
            if (request.method === "GET") return void response.writeHead(status).end("no GET");
            response.end('{"access_token":"good"}');
          },
        });
        await stage.client([post], { credentials: () => [password("robot")] }).resolve(at(post));
        const grant = new URLSearchParams(tokenRequests(post)[1]?.body.toString());
        assert.deepEqual(
          ["grant_type", "username", "password"].map(name => grant.get(name)),
          ["password", "robot", "robot-secret"],
        );
        assert.equal(tokenRequests(post).length, 2);
      });
    }

    it("goes on with the next credential where the realm calls a grant invalid", async () => {
      const server = await registryWith({
        token: (request, response) => {
          if (request.method === "POST") return void response.writeHead(400).end('{"error":"invalid_grant"}');
          response.end('{"token":"good"}');
        },
      });
      const credentials = () => [refresh, password("second")];
      await stage.client([server], { credentials }).resolve(at(server));
      assert.equal(tokenRequests(server).length, 2);
    });

    it("sends a registry token as it is, and asks no realm", async () => {
      const server = await registryWith();
      const credentials = (): Credential[] => [{ kind: "registryToken", token: "good" }];
      await stage.client([server], { credentials }).resolve(at(server));
      assert.deepEqual(
        server.seen.map(({ authorization }) => authorization),
        [null, "Bearer good"],
      );
    });

    it("sends no token where a password is wanted, and says so", async () => {
      const server = await registryWith({ challenge: () => "Basic realm=x" });
      const credentials = (): Credential[] => [refresh, { kind: "registryToken", token: "good" }];
      await assert.rejects(
        stage.client([server], { credentials }).resolve(at(server)),
        coded("Unauthorized", /wants a user name and a password, and there are only tokens/),
      );
      assert.equal(server.seen.length, 1);
    });
  });

  it("repeats nothing that a realm says after it was shown a credential", async () => {
    const server = await registryWith({
      token: (request, response, body) => {
        const { authorization = "" } = request.headers;
        response.writeHead(status).end(`${Buffer.from(authorization.slice(6), "base64")} ${body}`);
      },
    });
    let status = 503;
    const all: Credential[] = [password("robot"), { kind: "identityToken", username: "u", token: "robot-secret" }];
    for (const [credential, code] of all.flatMap(one => [[one, "Server"] as const, [one, "BadResponse"] as const])) {
      status = code === "Server" ? 503 : 200;
      const client = stage.client([server], { credentials: () => [credential] });
      await assert.rejects(client.resolve(at(server)), (error: unknown) => {
        assert.ok(error instanceof RegistryError);
        assert.equal(error.code, code);
        assert.doesNotMatch(everything(error), /secret/);
        return true;
      });
    }
  });

  describe("shown to a registry that quotes the request", () => {
    const quoting = (challenge: string, status: number, quote: (authorization: string) => string) =>
      stage.serve((request, response) => {
        const { authorization } = request.headers;
        if (authorization === undefined) return void response.writeHead(401, { "www-authenticate": challenge }).end();
        response.writeHead(status).end(quote(authorization));
      });
    const detailOf = async (server: ScriptedServer, credential: Credential) => {
      const client = stage.client([server], { credentials: () => [credential] });
      const error = await client.manifest(server.address, "team/filter", "v1").catch(caught => caught);
      assert.ok(error instanceof RegistryError);
      return { detail: error.detail, everything: everything(error) };
    };
    const robot: PasswordCredential = { kind: "password", username: "robot", password: 'hunter2/"&+ 42' };
    const long = { kind: "registryToken", token: "eyJhbGciOiJSUzI1NiJ9.".padEnd(2000, "signature") } as const;
    const decoded = (authorization: string) => Buffer.from(authorization.slice(6), "base64").toString();
    const quotes: readonly (readonly [title: string, Credential, quote: (authorization: string) => string])[] = [
      ["the header of a password", robot, authorization => `{"headers":"authorization=${authorization}"}`],
      ["the header of a password, URL-encoded", robot, authorization => `?a=${encodeURIComponent(authorization)}`],
      ["the password", robot, authorization => `no such login: ${decoded(authorization)}`],
      ["the password in a form", robot, authorization => `${new URLSearchParams({ p: decoded(authorization) })}`],
      ["the password in JSON", robot, authorization => JSON.stringify({ login: decoded(authorization) })],
      ["a registry token", { kind: "registryToken", token: "s3cr3t" }, authorization => `bad token ${authorization}`],
      ["a registry token that is cut off", long, authorization => `${"x".repeat(270)} ${authorization}`],
    ];
    for (const [title, credential, quote] of quotes) {
      it(`keeps ${title} out of the error`, async () => {
        const challenge = credential.kind === "password" ? "Basic realm=x" : 'Bearer realm="http://127.0.0.1/token"';
        const { detail, everything } = await detailOf(await quoting(challenge, 403, quote), credential);
        assert.equal(detail, null);
        assert.doesNotMatch(everything, /hunter2|cm9ib3Q6|s3cr3t|eyJhbGci/);
      });
    }

    it("keeps a realm's token out of the error", async () => {
      const server: ScriptedServer = await stage.serve((request, response) => {
        const { authorization } = request.headers;
        if (request.url?.startsWith("/token")) return void response.end('{"token":"of-the-realm"}');
        const headers = { "www-authenticate": `Bearer realm="http://${server.address}/token"` };
        if (authorization === undefined) return void response.writeHead(401, headers).end();
        response.writeHead(403).end(`not for ${authorization}`);
      });
      const { detail, everything } = await detailOf(server, robot);
      assert.equal(detail, null);
      assert.doesNotMatch(everything, /of-the-realm/);
    });

    it("keeps the registry's words where they quote nothing of it", async () => {
      const server = await quoting("Basic realm=x", 403, () => "robot has no right to pull");
      assert.equal((await detailOf(server, robot)).detail, "robot has no right to pull");
    });
  });

  it("says what is missing, and no secret", async () => {
    const server = await registryWith({
      open: () => false,
      token: (_request, response) => void response.writeHead(401).end(),
    });
    await assert.rejects(stage.client([server]).resolve(at(server)), coded("Unauthorized", /there are none for it/));
    const client = stage.client([server], { credentials: () => [password("robot")] });
    await assert.rejects(
      client.resolve(at(server)),
      coded("Unauthorized", /^(?!.*(?:robot|secret)).*refuses the credentials/),
    );
  });

  it("sends no credential to a realm without TLS on another host", async () => {
    const thief = await stage.serve((_request, response) => void response.end('{"token":"good"}'));
    const server = await registryWith({ challenge: () => `Bearer realm="http://${thief.address}/token"` });
    const client = stage.client([server, thief], { credentials: () => [password("robot")] });
    await assert.rejects(client.resolve(at(server)), coded("BadChallenge"));
    assert.equal(thief.seen.length, 0);
  });

  it("takes a realm that is not there for no word about the image", async () => {
    const server = await registryWith({ token: (_request, response) => void response.writeHead(404).end() });
    const client = stage.client([server]);
    await assert.rejects(client.resolve(at(server)), coded("Unauthorized", /gives no tokens \(404\)/));
    const { registry, repository } = at(server);
    const digest = digestOf(Buffer.from("{}"));
    await assert.rejects(client.referrers(registry, repository, digest, "a/b"), coded("Unauthorized"));
  });

  it("answers no challenge of a host that it was redirected to", async () => {
    const registry: ScriptedServer = await stage.serve((request, response) => {
      if (request.url?.startsWith("/token")) return void response.end('{"token":"good"}');
      response.writeHead(307, { location: `http://${storage.address}/` }).end();
    });
    // A realm that would pass, so that nothing but the origin of the challenge can stop it.
    const storage: ScriptedServer = await stage.serve((_request, response) => {
      response.writeHead(401, { "www-authenticate": `Bearer realm="http://${registry.address}/token"` }).end();
    });
    const client = stage.client([registry, storage], { credentials: () => [password("robot")] });
    await assert.rejects(client.resolve(at(registry)), coded("Unauthorized"));
    assert.deepEqual(tokenRequests(registry), []);
  });

  it("follows no redirect of a token request", async () => {
    const thief = await stage.serve((_request, response) => void response.end('{"token":"good"}'));
    const server = await registryWith({
      token: (_request, response) => void response.writeHead(307, { location: `http://${thief.address}/` }).end(),
    });
    const client = stage.client([server, thief], { credentials: () => [password("robot")] });
    await assert.rejects(client.resolve(at(server)), coded("UnsafeRedirect"));
    assert.equal(thief.seen.length, 0);
  });

  const unusable: readonly (readonly [what: string, body: string, code: string])[] = [
    ["larger than 128 KiB", JSON.stringify({ token: "x".repeat(128 * 1024) }), "TooLarge"],
    ["that would break the header", JSON.stringify({ token: "good\r\nx-admin: 1" }), "BadResponse"],
    ["that is empty", JSON.stringify({ token: "" }), "BadResponse"],
    ["that is no text", JSON.stringify({ token: { a: 1 } }), "BadResponse"],
    ["in a body that is no JSON", "token=good", "BadResponse"],
    ["given twice", '{"token":"good","token":"bad"}', "BadResponse"],
  ];
  for (const [what, body, code] of unusable) {
    it(`refuses a token ${what}`, async () => {
      const server = await registryWith({ token: (_request, response) => void response.end(body) });
      await assert.rejects(stage.client([server]).resolve(at(server)), coded(code));
    });
  }
});

describe("realmUrl", () => {
  const https = new URL("https://reg.example/v2/");
  const plain = new URL("http://reg.example:5000/v2/");
  const read = (realm: string, registry: URL) => realmUrl(realm, registry).host;

  it("takes any https name, and the registry's own host without TLS", () => {
    assert.equal(read("https://auth.example/token?a=b", https), "auth.example");
    assert.equal(read("http://reg.example:5000/token", plain), "reg.example:5000");
    assert.equal(read("https://10.0.0.1/token", new URL("https://10.0.0.1:5000/v2/")), "10.0.0.1");
  });

  const refused: readonly (readonly [realm: string, registry: URL])[] = [
    ["http://reg.example/token", https],
    ["http://auth.example/token", https],
    ["http://auth.example/token", plain],
    ["http://reg.example/token", plain],
    ["https://10.0.0.1/token", https],
    ["https://127.0.0.1/token", https],
    ["https://[::1]/token", https],
    ["https://2130706433/token", https],
    ["https://169.254.169.254/token", https],
    ["https://user:secret@auth.example/token", https],
    ["ftp://auth.example/token", https],
    ["/token", https],
    ["auth.example", https],
  ];
  for (const [realm, registry] of refused) {
    it(`refuses ${realm} of ${registry.origin}`, () => {
      assert.throws(() => read(realm, registry), coded("BadChallenge"));
    });
  }
});
