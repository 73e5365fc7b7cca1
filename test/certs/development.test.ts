import assert from "node:assert/strict";
import { createPrivateKey, X509Certificate } from "node:crypto";
import { developmentManifests } from "../../certs/development.ts";
import type { Manifest } from "../environment/stage.ts";

describe("manifests for development", () => {
  it("hold a certificate for the webhook's Service, and registrations that trust it", async () => {
    const now = new Date("2026-01-01T00:00:00Z");
    const [secret, ...registrations] = (await developmentManifests("shop-filters", 3, now)) as Manifest[];
    assert.deepEqual([secret.type, secret.metadata.namespace], ["kubernetes.io/tls", "shop-filters"]);
    const leaf = new X509Certificate(secret.stringData["tls.crt"]);
    assert.ok(leaf.checkPrivateKey(createPrivateKey(secret.stringData["tls.key"])));
    assert.equal(leaf.validToDate.toISOString(), "2026-01-04T00:00:00.000Z");
    assert.deepEqual(
      registrations.map(({ kind }) => kind),
      ["MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"],
    );
    for (const { clientConfig } of registrations.flatMap(({ webhooks }) => webhooks)) {
      const { service, caBundle } = clientConfig;
      assert.ok(leaf.checkHost(`${service.name}.${service.namespace}.svc`));
      const authority = new X509Certificate(Buffer.from(caBundle, "base64"));
      assert.ok(leaf.checkIssued(authority) && leaf.verify(authority.publicKey));
    }
  });
});
