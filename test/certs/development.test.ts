import assert from "node:assert/strict";
import { createPrivateKey, X509Certificate } from "node:crypto";
import { developmentCertificate } from "../../certs/development.ts";
import type { Manifest } from "../environment/stage.ts";

describe("a certificate for development", () => {
  it("is for the webhook's Service, and comes with values by which API servers trust it", async () => {
    const made = await developmentCertificate("shop-filters", 3, new Date("2026-01-01T00:00:00Z"));
    const secret = made.secret as Manifest;
    const { mode, provided } = (made.values as Manifest).certificates;
    assert.deepEqual([secret.type, secret.metadata.namespace], ["kubernetes.io/tls", "shop-filters"]);
    assert.deepEqual([mode, provided.secretName], ["provided", secret.metadata.name]);
    const leaf = new X509Certificate(secret.stringData["tls.crt"]);
    assert.ok(leaf.checkPrivateKey(createPrivateKey(secret.stringData["tls.key"])));
    assert.equal(leaf.validToDate.toISOString(), "2026-01-04T00:00:00.000Z");
    assert.ok(leaf.checkHost("wasmount-webhook.shop-filters.svc"));
    const authority = new X509Certificate(provided.caBundle);
    assert.ok(leaf.checkIssued(authority) && leaf.verify(authority.publicKey));
  });
});
