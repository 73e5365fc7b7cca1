import assert from "node:assert/strict";
import type { PodReport } from "../../src/diagnosis/pod-report.ts";
import { rightOf } from "../../src/diagnosis/right.ts";
import { ageText, surveyText } from "../../src/diagnosis/survey-text.ts";
import { PLAIN, tableText, terminalOf } from "../../src/diagnosis/table.ts";

const now = new Date("2026-01-02T00:00:00Z");
const mounted: PodReport = {
  namespace: "shop",
  pod: "cart-0",
  owner: null,
  created: "2026-01-01T00:00:00Z",
  state: "Mounted",
  code: null,
  detail: "",
  outdated: null,
  plan: "0123456789abcdef".repeat(4),
  proxy: { dataPlane: "envoy", running: true, adminPort: 9901 },
  filters: [
    {
      name: "headers",
      slot: "in-last-01",
      reference: "registry.example/headers:1",
      repository: "registry.example/headers",
      digest: `sha256:${"a".repeat(64)}`,
      policies: [],
      version: "b".repeat(64),
    },
  ],
};
const failed: PodReport = { ...mounted, pod: "cart-1", state: "Failed", code: "TooLarge", detail: "9 bytes" };
const missed: PodReport = { ...mounted, namespace: "web", pod: "w", state: "Uninjected", code: "Injected", plan: null };

describe("the text of wasmount status", () => {
  it("is a table, what is wrong at length, and a sum", () => {
    const reports = [
      mounted,
      failed,
      { ...missed, filters: [] },
      { ...mounted, pod: "old", outdated: "no longer wanted: x" },
    ];
    assert.equal(
      surveyText(reports, { terminal: PLAIN, withNamespace: true, now }),
      `NAMESPACE  POD     STATE                 FILTERS               PLAN          AGE
shop       cart-0  Mounted               headers@aaaaaaaaaaaa  0123456789ab  24h
shop       cart-1  Failed(TooLarge)      headers@aaaaaaaaaaaa  0123456789ab  24h
web        w       Uninjected(Injected)  -                     -             24h
shop       old     Mounted Outdated      headers@aaaaaaaaaaaa  0123456789ab  24h

shop/cart-1: Failed(TooLarge): 9 bytes
web/w: Uninjected(Injected): 
shop/old: Outdated: no longer wanted: x; create it anew to have that
4 pods: 2 mounted, 1 failed, 1 uninjected; 1 outdated
`,
    );
  });

  it("says where there is nothing", () => {
    assert.equal(surveyText([], { terminal: PLAIN, withNamespace: true, now }), "no pods with filters\n");
  });

  it("tells at most twenty at length", () => {
    const text = surveyText(Array(30).fill(failed), { terminal: PLAIN, withNamespace: false, now });
    assert.equal(text.match(/9 bytes/g)?.length, 20);
    assert.match(text, /… and 10 more/);
  });

  it("has ages as kubectl has them", () => {
    const ages = [30, 90, 7_000, 100_000, 200_000].map(seconds =>
      ageText(new Date(now.getTime() - seconds * 1000).toISOString(), now),
    );
    assert.deepEqual(ages, ["30s", "90s", "116m", "27h", "2d"]);
    assert.equal(ageText("", now), "-");
  });
});

describe("a table", () => {
  const rows = [
    [{ text: "NAME" }, { text: "STATE" }],
    [{ text: "x".repeat(60) }, { text: "Failed", color: "red" as const }],
  ];

  it("is cut to a terminal's width, at its widest column, and painted", () => {
    const text = tableText(rows, terminalOf({ isTTY: true, columns: 40 }, {}));
    const [, line = ""] = text.split("\n");
    assert.equal(line, `${"x".repeat(31)}…  \u001b[31mFailed\u001b[0m`);
  });

  it("is whole and plain where it is piped, and plain where nobody wants colours", () => {
    assert.match(tableText(rows, terminalOf({}, {})), /x{60} {2}Failed\n$/);
    assert.match(tableText(rows, terminalOf({ isTTY: true, columns: 200 }, { NO_COLOR: "1" })), /x{60} {2}Failed\n$/);
  });

  it("gives a terminal nothing but what can be seen", () => {
    assert.equal(tableText([[{ text: "a\u001b]0;x\u0007" }]], PLAIN), "a\\u{1b}]0;x\\u{7}\n");
  });
});

describe("a right", () => {
  for (const [method, path, right] of [
    ["GET", "/api/v1/pods", "list pods of the whole cluster"],
    ["GET", "/api/v1/namespaces", "list namespaces of the whole cluster"],
    ["GET", "/api/v1/namespaces/shop", "get namespaces shop"],
    ["GET", "/api/v1/namespaces/shop/pods", "list pods in namespace shop"],
    ["GET", "/api/v1/namespaces/shop/pods/x:8080/proxy/readyz", "get pods/proxy x in namespace shop"],
    ["POST", "/api/v1/namespaces/shop/pods", "create pods in namespace shop"],
    [
      "PUT",
      "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/wasmount",
      "update mutatingwebhookconfigurations.admissionregistration.k8s.io wasmount",
    ],
    ["GET", "/apis/apps/v1/namespaces/a/deployments/b", "get deployments.apps b in namespace a"],
  ] as const) {
    it(`is told in words: ${right}`, () => assert.equal(rightOf(method, path), right));
  }
});
