import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { createServer, get, type IncomingMessage } from "node:http";
import { type AddressInfo, createServer as createTcpServer, type Server, type Socket } from "node:net";
import { PlainAgent } from "../../src/oci/plain-agent.ts";

const MIB = 1024 * 1024;

describe("connections that read into one buffer", () => {
  let agent: PlainAgent;
  let server: Server;

  beforeEach(() => {
    agent = new PlainAgent({ keepAlive: true });
  });

  afterEach(async () => {
    agent.destroy();
    await new Promise(resolve => server.close(resolve));
  });

  async function listen(listening: Server): Promise<number> {
    server = listening.listen(0, "127.0.0.1");
    await once(server, "listening");
    return (server.address() as AddressInfo).port;
  }

  async function ask(port: number): Promise<IncomingMessage> {
    const [response] = (await once(get({ agent, host: "127.0.0.1", port }), "response")) as [IncomingMessage];
    return response;
  }

  it("give each reader bytes of its own, however slow it is", async () => {
    const content = randomBytes(8 * MIB);
    const port = await listen(createServer((_, response) => response.end(content)));
    const chunks: Buffer[] = [];
    for await (const chunk of await ask(port)) {
      chunks.push(chunk);
      // Others have their turn: what comes meanwhile waits.
      for (let turn = 0; turn < 3; turn += 1) await new Promise(setImmediate);
    }
    assert.equal(sha256(Buffer.concat(chunks)), sha256(content));
  });

  it("are used again", async () => {
    const port = await listen(createServer(({ url }, response) => response.end(url)));
    const sockets = new Set<Socket>();
    for (let request = 0; request < 3; request += 1) {
      const response = await ask(port);
      sockets.add(response.socket);
      assert.equal((await response.toArray()).join(""), "/");
      // The agent has it back a tick after the end.
      await new Promise(setImmediate);
    }
    assert.equal(sockets.size, 1);
  });

  it("don't overwrite what nobody has taken yet", async () => {
    const parts = ["first ", "second ", "third"];
    const accepted = Promise.withResolvers<Socket>();
    const port = await listen(createTcpServer(socket => accepted.resolve(socket)));
    const client = agent.createConnection({ host: "127.0.0.1", port });
    client.read(0);
    const peer = await accepted.promise;
    for (const [index, part] of parts.entries()) {
      peer.write(part);
      const length = parts.slice(0, index + 1).join("").length;
      while (client.readableLength < length) await new Promise(setImmediate);
    }
    assert.equal(client.read().toString(), parts.join(""));
    client.destroy();
    peer.destroy();
  });
});

function sha256(bytes: Buffer): string {
  return createHash("sha256").update(bytes).digest("hex");
}
