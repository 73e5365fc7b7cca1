import assert from "node:assert/strict";
import type { Side } from "../../src/admission/entry.ts";
import {
  FAILURE_POLICY,
  MATCH_CONDITIONS,
  REGISTRATION,
  registeredEntries,
  registeredTerms,
  TIMEOUT_SECONDS,
} from "../../src/admission/registration.ts";
import { shipped } from "../environment/installation.ts";

const kinds: Readonly<Record<Side, string>> = {
  mutate: "MutatingWebhookConfiguration",
  validate: "ValidatingWebhookConfiguration",
};

describe("the registration", () => {
  for (const [side, kind] of Object.entries(kinds) as [Side, string][]) {
    it(`that ships is the one that the code knows: ${side}`, async () => {
      const [manifest] = await shipped(kind);
      assert.equal(manifest.metadata.name, REGISTRATION);
      const { webhooks } = manifest;
      const expected = registeredEntries("wasmount-system").map(({ name, entry, namespace, object }) => ({
        name,
        clientConfig: {
          service: { namespace: "wasmount-system", name: "wasmount-webhook", port: 443, path: `/${side}/${entry}` },
        },
        failurePolicy: FAILURE_POLICY,
        timeoutSeconds: TIMEOUT_SECONDS,
        matchConditions: Object.entries(MATCH_CONDITIONS).map(([name, expression]) => ({ name, expression })),
        namespaceSelector: { matchExpressions: namespace },
        ...(object.length > 0 ? { objectSelector: { matchExpressions: object } } : {}),
        ...registeredTerms(side),
      }));
      assert.deepEqual(webhooks, expected);
    });
  }
});
