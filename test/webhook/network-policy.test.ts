import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { parse } from "yaml";
import { parseConfig } from "../../src/config/load.ts";

interface Rule {
  readonly from: readonly { readonly ipBlock?: { readonly cidr: string }; readonly namespaceSelector?: object }[];
  readonly ports: readonly { readonly protocol: string; readonly port: number }[];
}

describe("the network policy that ships", () => {
  const text = readFileSync(new URL("../../manifests/network-policy.yaml", import.meta.url), "utf8");
  const { spec } = parse(text) as { readonly spec: { readonly policyTypes: string[]; readonly ingress: Rule[] } };
  const { listen } = parseConfig("{tls: {certFile: a, keyFile: b}, fetcher: {image: c}}", "defaults");

  it("opens the two ports that the webhook listens on by default, and no other", () => {
    assert.deepEqual(spec.policyTypes, ["Ingress"]);
    assert.deepEqual(
      spec.ingress.map(({ ports }) => ports),
      [[{ protocol: "TCP", port: listen.port }], [{ protocol: "TCP", port: listen.plainPort }]],
    );
  });

  it("lets nobody ask for decisions before it is adapted", () => {
    assert.deepEqual(spec.ingress[0]?.from, [{ ipBlock: { cidr: "192.0.2.0/24" } }]);
    for (const { from } of spec.ingress) assert.ok(from.length > 0, "an empty list is everybody");
  });
});
