import assert from "node:assert/strict";
import { createHash, createPrivateKey, X509Certificate } from "node:crypto";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { connect, createServer } from "node:tls";
import forge from "node-forge";
import { createAuthority, issueServerCertificate } from "../../src/certs/authority.ts";

const now = new Date("2026-01-01T00:00:00Z");

/** Object identifiers 2.5.29.35 and 2.5.29.14, encoded. */
const AUTHORITY_KEY_IDENTIFIER = "551d23";
const SUBJECT_KEY_IDENTIFIER = "551d0e";

/** The end of an extension of these that holds an identifier of 20 bytes. */
function extension(identifier: string, tag: number, bytes: string): Buffer {
  const content = Buffer.concat([Buffer.of(tag, 20), Buffer.from(bytes, "latin1")]);
  const value = tag === 0x80 ? Buffer.concat([Buffer.of(0x30, content.length), content]) : content;
  return Buffer.concat([Buffer.from(`0603${identifier}04`, "hex"), Buffer.of(value.length), value]);
}

describe("certificates", () => {
  it("are signed by their authority and belong to their keys", async () => {
    const authority = await createAuthority("test CA", 10, now);
    const server = await issueServerCertificate(authority, ["wasmount.svc", "127.0.0.1"], 2, now);
    const [ca, leaf] = [new X509Certificate(authority.certificate), new X509Certificate(server.certificate)];
    assert.ok(leaf.verify(ca.publicKey));
    assert.ok(leaf.checkIssued(ca));
    assert.ok(leaf.checkPrivateKey(createPrivateKey(server.privateKey)));
    assert.equal(ca.ca, true);
    assert.equal(leaf.ca, false);
    assert.equal(leaf.subjectAltName, "DNS:wasmount.svc, IP Address:127.0.0.1");
    assert.deepEqual(leaf.keyUsage, ["1.3.6.1.5.5.7.3.1"]);
  });

  it("are valid from a little before now, for the days asked", async () => {
    const authority = await createAuthority("test CA", 10, now);
    const leaf = new X509Certificate((await issueServerCertificate(authority, ["a"], 2, now)).certificate);
    assert.equal(new Date(leaf.validFrom).toISOString(), "2025-12-31T23:55:00.000Z");
    assert.equal(new Date(leaf.validTo).toISOString(), "2026-01-03T00:00:00.000Z");
  });

  it("do not outlive their authority", async () => {
    const authority = await createAuthority("test CA", 1, now);
    const leaf = new X509Certificate((await issueServerCertificate(authority, ["a"], 10, now)).certificate);
    assert.equal(leaf.validTo, new X509Certificate(authority.certificate).validTo);
  });

  it("hold long names", async () => {
    const name = `${"a".repeat(60)}.${"b".repeat(60)}.svc`;
    const leaf = await issueServerCertificate(await createAuthority("test CA", 1, now), [name], 1, now);
    assert.equal(new X509Certificate(leaf.certificate).checkHost(name), name);
  });

  it("name the key of their authority, as RFC 5280 demands", async () => {
    const authority = await createAuthority("test CA", 1, now);
    const leaf = new X509Certificate((await issueServerCertificate(authority, ["a"], 1, now)).certificate);
    const issuer = forge.pki.certificateFromPem(authority.certificate);
    assert.ok(
      leaf.raw.includes(extension(AUTHORITY_KEY_IDENTIFIER, 0x80, issuer.generateSubjectKeyIdentifier().getBytes())),
    );
  });

  it("have keys of P-256, and identifiers of them as RFC 5280 makes them", async () => {
    const authority = await createAuthority("test CA", 1, now);
    const { publicKey, raw } = new X509Certificate(
      (await issueServerCertificate(authority, ["a"], 1, now)).certificate,
    );
    assert.deepEqual(publicKey.asymmetricKeyDetails, { namedCurve: "prime256v1" });
    const { x = "", y = "" } = publicKey.export({ format: "jwk" });
    const point = Buffer.concat([Buffer.of(4), Buffer.from(x, "base64url"), Buffer.from(y, "base64url")]);
    const identifier = createHash("sha1").update(point).digest().toString("latin1");
    assert.ok(raw.includes(extension(SUBJECT_KEY_IDENTIFIER, 0x04, identifier)));
  });

  it("have different serial numbers", async () => {
    const authority = await createAuthority("test CA", 10, now);
    const serials = await Promise.all(
      ["a", "a"].map(
        async name =>
          new X509Certificate((await issueServerCertificate(authority, [name], 2, now)).certificate).serialNumber,
      ),
    );
    assert.notEqual(serials[0], serials[1]);
  });

  it("are accepted by TLS for their names, and for no others", async () => {
    const today = new Date();
    const authority = await createAuthority("test CA", 1, today);
    const { certificate, privateKey } = await issueServerCertificate(authority, ["wasmount.svc"], 1, today);
    const server = createServer({ cert: certificate, key: privateKey }, socket => socket.end());
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    const handshake = async (servername: string) => {
      const socket = connect({ host: "127.0.0.1", port, servername, ca: authority.certificate });
      await once(socket, "secureConnect").finally(() => socket.destroy());
    };
    try {
      await handshake("wasmount.svc");
      await assert.rejects(handshake("other.svc"), { code: "ERR_TLS_CERT_ALTNAME_INVALID" });
    } finally {
      server.close();
    }
  });
});
