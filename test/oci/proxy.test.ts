import assert from "node:assert/strict";
import { proxyAuthorization, proxyFromEnvironment, proxyRoute } from "../../src/oci/proxy.ts";
import { coded } from "./scripted-server.ts";

const PROXY = "http://proxy.example:3128";
const through = (url: string, no = "") =>
  proxyRoute({ http: "http://plain.example", https: PROXY, no })(new URL(url))?.host ?? null;

describe("proxyRoute", () => {
  it("goes by the scheme of what is asked", () => {
    assert.equal(through("https://registry.example/"), "proxy.example:3128");
    assert.equal(through("http://registry.example/"), "plain.example");
    assert.equal(proxyRoute({ http: PROXY, https: null, no: "" })(new URL("https://a.example/")), null);
    assert.equal(proxyRoute(null)(new URL("https://a.example/")), null);
  });

  it("never goes through a proxy to loopback", () => {
    for (const host of ["localhost", "127.0.0.1:5000", "127.9.9.9", "[::1]:5000"]) {
      assert.equal(through(`https://${host}/`), null, host);
    }
    assert.notEqual(through("https://127.example/"), null);
  });

  const direct: readonly (readonly [no: string, yes: readonly string[], not: readonly string[]])[] = [
    ["*", ["a.example", "8.8.8.8"], []],
    ["example.com", ["example.com", "a.example.com", "a.b.example.com:5000"], ["badexample.com", "example.com.evil"]],
    [".example.com", ["a.example.com"], ["example.com", "badexample.com"]],
    ["*.example.com", ["a.example.com"], ["example.com"]],
    ["EXAMPLE.com:5000", ["example.com:5000", "a.example.com:5000"], ["example.com"]],
    ["example.com:443", ["example.com"], ["example.com:5000"]],
    ["10.0.0.0/8, a.example", ["10.1.2.3:5000", "a.example"], ["11.0.0.1", "b.example"]],
    ["10.0.0.1", ["10.0.0.1:5000"], ["110.0.0.1", "10.0.0.10"]],
    ["fd00::/8 [fd01::1]:5000", ["[fd12::1]"], ["[2001:db8::1]"]],
    ["[2001:db8::1]:5000", ["[2001:db8::1]:5000"], ["[2001:db8::1]"]],
    ["2001:db8::1", ["[2001:db8::1]:5000"], ["[2001:db8::2]"]],
    ["10.0.0.0/99, ,/8", [], ["10.0.0.1", "a.example"]],
  ];
  for (const [no, yes, not] of direct) {
    it(`reads ${JSON.stringify(no)} as Go's programs do`, () => {
      for (const host of yes) assert.equal(through(`https://${host}/`, no), null, host);
      for (const host of not) assert.notEqual(through(`https://${host}/`, no), null, host);
    });
  }

  for (const text of [
    "socks5://user:hunter2@a.example",
    "http://user:hunter2@",
    "http://user:hunter2@a.example/path",
    "http://user:hunter2%zz@a.example",
    "http://user:hunter2@a.example:99999",
  ]) {
    it(`refuses ${text} without showing its password`, () => {
      assert.throws(() => proxyRoute({ http: null, https: text, no: "" }), coded("BadProxy", /^(?!.*hunter2)/));
    });
  }
});

describe("proxyFromEnvironment", () => {
  it("reads the conventional names, the lower-case ones first", () => {
    assert.equal(proxyFromEnvironment({ NO_PROXY: "a" }), null);
    assert.deepEqual(proxyFromEnvironment({ HTTPS_PROXY: "upper", https_proxy: "lower", NO_PROXY: "a" }), {
      http: null,
      https: "lower",
      no: "a",
    });
    assert.deepEqual(proxyFromEnvironment({ HTTP_PROXY: "proxy:1", https_proxy: "" }), {
      http: "proxy:1",
      https: null,
      no: "",
    });
  });
});

describe("proxyAuthorization", () => {
  it("decodes the URL's credentials", () => {
    assert.equal(proxyAuthorization(new URL("http://us%40er:p%3Aw@a.example")), `Basic ${btoa("us@er:p:w")}`);
    assert.equal(proxyAuthorization(new URL("http://a.example")), null);
  });
});
