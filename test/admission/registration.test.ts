import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { parseAllDocuments } from "yaml";
import type { Side } from "../../src/admission/entry.ts";
import {
  FAILURE_POLICY,
  MATCH_CONDITIONS,
  REGISTRATION,
  registeredEntries,
  registeredTerms,
  TIMEOUT_SECONDS,
} from "../../src/admission/registration.ts";
import type { Manifest } from "../environment/stage.ts";

const kinds: Readonly<Record<Side, string>> = {
  mutate: "MutatingWebhookConfiguration",
  validate: "ValidatingWebhookConfiguration",
};

describe("the registration", () => {
  for (const [side, kind] of Object.entries(kinds) as [Side, string][]) {
    it(`that ships is the one that the code knows: ${side}`, async () => {
      const text = await readFile(new URL("../../manifests/webhooks.yaml", import.meta.url), "utf8");
      const manifests: Manifest[] = parseAllDocuments(text, { merge: true }).map(document => document.toJS());
      const manifest = manifests.find(one => one.kind === kind);
      assert.equal(manifest.metadata.name, REGISTRATION);
      const { webhooks } = JSON.parse(JSON.stringify(manifest));
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
