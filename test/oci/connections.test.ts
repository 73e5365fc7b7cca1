import assert from "node:assert/strict";
import { createServer, type Server } from "node:net";
import { digestOf } from "../../src/oci/digest.ts";
import type { RegistrySettings } from "../../src/oci/options.ts";
import { coded, collect, type Script, Stage } from "./scripted-server.ts";
import { type Listening, makeTrust, startProxy, startSecure, type Trust } from "./secure-server.ts";

const BLOB = Buffer.from("a blob of some bytes");
const DESCRIPTOR = { mediaType: "application/wasm", digest: digestOf(BLOB), size: BLOB.length };
const plain = (host: string): RegistrySettings => ({ host, plainHttp: true });
const serving: Script = (_request, response) => {
  response.writeHead(200, { "content-length": String(BLOB.length) }).end(BLOB);
};

describe("connections to a registry", () => {
  const stage = new Stage();
  const open: { close(): unknown }[] = [];
  let trust: Trust;
  let other: Trust;
  before(async () => {
    trust = await makeTrust(["127.0.0.1", "registry.test"]);
    other = await makeTrust(["127.0.0.1"]);
  });
  afterEach(async () => {
    await stage.clear();
    for (const one of open.splice(0)) await one.close();
  });

  async function secure(credentials = trust.server) {
    const server = await startSecure(credentials, BLOB, trust.ca);
    open.push(server);
    return server;
  }
  async function proxied(...start: Parameters<typeof startProxy>) {
    const proxy = await startProxy(...start);
    open.push(proxy);
    return proxy;
  }
  const fetched = (host: string, options = {}) =>
    collect(stage.client([], { retry: { attempts: 1 }, ...options }).blob(host, "team/filter", DESCRIPTOR));
  const at = ({ port }: Listening) => `127.0.0.1:${port}`;

  describe("by TLS", () => {
    it("go by the authorities that the operator named, and by those alone", async () => {
      const host = at(await secure());
      const settings = { host, plainHttp: false };
      assert.deepEqual(await fetched(host, { registries: [{ ...settings, ca: trust.ca }] }), BLOB);
      await assert.rejects(fetched(host, { registries: [settings] }), coded("Unreachable", /no trusted TLS/));
      const wrong = fetched(host, { registries: [{ ...settings, ca: other.ca }] });
      await assert.rejects(wrong, coded("Unreachable", /no trusted TLS/));
    });

    it("take any certificate of a host that may show one, and of no other", async () => {
      const [lax, strict] = [at(await secure()), at(await secure())];
      const registries = [{ host: lax, plainHttp: false, insecureTls: true }];
      assert.deepEqual(await fetched(lax, { registries }), BLOB);
      await assert.rejects(fetched(strict, { registries }), coded("Unreachable", /no trusted TLS/));
    });

    it("show the client certificate to the host that it is for, and to no other", async () => {
      const [mutual, storage] = [await secure(), await secure()];
      const clientCertificate = { certificate: trust.server.certificate, key: trust.server.privateKey };
      const registries = [
        { host: at(mutual), plainHttp: false, ca: trust.ca, clientCertificate },
        { host: at(storage), plainHttp: false, ca: trust.ca },
      ];
      const client = stage.client([], { registries });
      for (const host of [at(mutual), at(storage)]) await collect(client.blob(host, "team/filter", DESCRIPTOR));
      assert.equal(mutual.seen[0]?.client, "127.0.0.1");
      assert.equal(storage.seen[0]?.client, null);
    });
  });

  describe("at private addresses", () => {
    const denied = { privateAddresses: "Deny" } as const;

    it("are refused unless the operator named the registry", async () => {
      const server = await secure();
      const host = at(server);
      await assert.rejects(fetched(host, denied), coded("ForbiddenAddress", /name the host under registries/));
      assert.deepEqual(
        await fetched(host, { ...denied, registries: [{ host, plainHttp: false, ca: trust.ca }] }),
        BLOB,
      );
    });

    it("are refused by name as by number", async () => {
      await assert.rejects(fetched("localhost:1", denied), coded("ForbiddenAddress"));
    });

    it("are refused on every hop", async () => {
      const storage = await secure();
      const location = () => `https://${at(storage)}/blob`;
      const server = await stage.serve((_request, response) => {
        response.writeHead(307, { location: location() }).end();
      });
      const named = plain(server.address);
      await assert.rejects(fetched(server.address, { ...denied, registries: [named] }), coded("ForbiddenAddress"));
      assert.deepEqual(storage.seen, []);
      const both = [named, { host: at(storage), plainHttp: false, ca: trust.ca }];
      assert.deepEqual(await fetched(server.address, { ...denied, registries: both }), BLOB);
    });

    it("are refused of token realms and upload locations", async () => {
      const elsewhere = await secure();
      const realm = await stage.serve((_request, response) => {
        response.writeHead(401, { "www-authenticate": `Bearer realm="https://${at(elsewhere)}/token"` }).end();
      });
      const registries = [plain(realm.address)];
      await assert.rejects(fetched(realm.address, { ...denied, registries }), coded("ForbiddenAddress"));
      const uploads = await stage.serve((request, response) => {
        if (request.method === "HEAD") return void response.writeHead(404).end();
        response.writeHead(202, { location: `https://${at(elsewhere)}/up` }).end();
      });
      const client = stage.client([], { ...denied, registries: [plain(uploads.address)] });
      const source = { ...DESCRIPTOR, open: async function* () {} };
      await assert.rejects(client.pushBlob(uploads.address, "a", source), coded("ForbiddenAddress"));
      assert.deepEqual(elsewhere.seen, []);
    });
  });

  describe("through a proxy", () => {
    const secret = "hunter2";
    const by = (proxy: Listening, no = "") => {
      const url = `http://user:${secret}@${at(proxy)}`;
      return { proxy: { http: url, https: url, no } };
    };
    const registries = () => [{ host: "registry.test", plainHttp: false, ca: trust.ca }, plain("plain.test:5000")];

    it("are tunnelled to a registry by TLS, which never sees the proxy's credentials", async () => {
      const server = await secure();
      const proxy = await proxied(() => server.port);
      assert.deepEqual(await fetched("registry.test", { ...by(proxy), registries: registries() }), BLOB);
      assert.deepEqual(
        proxy.seen.map(({ line, headers }) => [line, headers["proxy-authorization"]]),
        [["CONNECT registry.test:443", `Basic ${btoa(`user:${secret}`)}`]],
      );
      assert.equal(server.seen[0]?.headers["proxy-authorization"], undefined);
    });

    it("hold the registry to its certificate all the same", async () => {
      const server = await secure(other.server);
      const proxy = await proxied(() => server.port);
      const fetching = fetched("registry.test", { ...by(proxy), registries: registries() });
      await assert.rejects(fetching, coded("Unreachable", /no trusted TLS connection to registry\.test/));
    });

    it("ask for plain HTTP in the absolute form", async () => {
      const server = await stage.serve(serving);
      const proxy = await proxied(() => Number(server.address.split(":")[1]));
      assert.deepEqual(await fetched("plain.test:5000", { ...by(proxy), registries: registries() }), BLOB);
      assert.deepEqual(
        proxy.seen.map(({ line, headers }) => [line, headers.host]),
        [[`GET http://plain.test:5000/v2/team/filter/blobs/${DESCRIPTOR.digest}`, "plain.test:5000"]],
      );
    });

    it("are direct to what the operator excepted", async () => {
      const proxy = await proxied(() => null);
      const options = { ...by(proxy, "registry.test, .invalid"), registries: registries() };
      const lookupFails = fetched("registry.test", options);
      await assert.rejects(lookupFails, coded("Unreachable"));
      assert.deepEqual(proxy.seen, []);
    });

    for (const [status, message] of [
      [407, /the proxy 127\.0\.0\.1:\d+ wants other credentials \(407\)/],
      [403, /the proxy 127\.0\.0\.1:\d+ refuses the connection \(403\)/],
    ] as const) {
      it(`say that it was the proxy that answered ${status}, and no password`, async () => {
        const proxy = await proxied(() => null, status);
        const options = { ...by(proxy), registries: registries() };
        const fetching = fetched("registry.test", options);
        await assert.rejects(fetching, coded("Unreachable", message));
        await assert.rejects(fetched("registry.test", options), (error: Error) => {
          return !JSON.stringify([error.message, error, String(error.cause), error.stack]).includes(secret);
        });
      });
    }

    it("say so for plain HTTP too", async () => {
      const proxy = await proxied(() => null, 407);
      const fetching = fetched("plain.test:5000", { ...by(proxy), registries: registries() });
      await assert.rejects(fetching, coded("Unreachable", /wants other credentials/));
    });

    it("say that the proxy is gone", async () => {
      const proxy = await startProxy(() => null);
      await proxy.close();
      const fetching = fetched("registry.test", { ...by(proxy), registries: registries() });
      await assert.rejects(
        fetching,
        coded("Unreachable", /the proxy 127\.0\.0\.1:\d+ can't be reached \(ECONNREFUSED\)/),
      );
    });

    /** A proxy that says what it is told, and then waits. */
    async function saying(text: string): Promise<Listening> {
      const server: Server = createServer(socket => {
        socket.on("error", () => {});
        socket.once("data", () => void socket.write(text));
      });
      await new Promise<void>(resolve => server.listen(0, "127.0.0.1", resolve));
      const { port } = server.address() as { port: number };
      const sockets: { destroy(): unknown }[] = [];
      server.on("connection", socket => void sockets.push(socket));
      const close = async () => {
        for (const socket of sockets) socket.destroy();
        await new Promise(resolve => server.close(resolve));
      };
      open.push({ close });
      return { port, close };
    }

    it("end where the proxy, or the TLS behind it, keeps silent", async () => {
      for (const text of ["", "HTTP/1.1 200 Connected\r\n\r\n"]) {
        const options = { ...by(await saying(text)), registries: registries(), timeouts: { connectMs: 100 } };
        await assert.rejects(fetched("registry.test", options), coded("Timeout", /no connection within 100 ms/));
      }
    });

    it("take nothing from the proxy for the registry's", async () => {
      const proxy = await saying("HTTP/1.1 200 Connected\r\n\r\nHTTP/1.1 200 OK\r\n\r\n");
      const fetching = fetched("registry.test", { ...by(proxy), registries: registries() });
      await assert.rejects(fetching, coded("Unreachable", /sends what nobody asked for/));
    });

    it("lead to no metadata address, nor does the proxy have one", async () => {
      const proxy = await proxied(() => null);
      for (const host of ["169.254.169.254", "[::ffff:a9fe:a9fe]"]) {
        await assert.rejects(fetched(host, by(proxy)), coded("ForbiddenAddress"));
      }
      const denied = { ...by(proxy), privateAddresses: "Deny" };
      await assert.rejects(fetched("10.0.0.1:5000", denied), coded("ForbiddenAddress"));
      assert.deepEqual(proxy.seen, []);
      const metadata = { proxy: { http: null, https: "http://169.254.169.254", no: "" } };
      await assert.rejects(fetched("registry.test", metadata), coded("ForbiddenAddress"));
    });
  });
});
