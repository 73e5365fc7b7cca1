import assert from "node:assert/strict";
import { nextPage } from "../../src/oci/pages.ts";
import { coded } from "./scripted-server.ts";

const ORIGIN = "https://registry.example:5000";
const next = (link: string | undefined) =>
  nextPage({ headers: { link } as never, url: new URL(`${ORIGIN}/v2/a/tags/list?n=2`) }, ORIGIN)?.href ?? null;

describe("nextPage", () => {
  const good: readonly (readonly [link: string | undefined, expected: string | null])[] = [
    [undefined, null],
    ["", null],
    ['</v2/a/tags/list?last=b>; rel="next"', `${ORIGIN}/v2/a/tags/list?last=b`],
    ["<list?last=b>;rel=next", `${ORIGIN}/v2/a/tags/list?last=b`],
    [`<${ORIGIN}/x>; title="a, b; rel=prev"; REL="prev NEXT"`, `${ORIGIN}/x`],
    ['</first>; rel="first", </second>; rel="next"', `${ORIGIN}/second`],
    ['</other>; rel="last"', null],
    ['</a>; rel="last"; rel="next"', null],
  ];
  for (const [link, expected] of good) it(`reads ${link}`, () => assert.equal(next(link), expected));

  const elsewhere = [
    "<https://evil.example/v2/>; rel=next",
    "<//evil.example/v2/>; rel=next",
    "<http://registry.example:5000/v2/>; rel=next",
    "<https://registry.example/v2/>; rel=next",
    "<https://user:secret@registry.example:5000/>; rel=next",
    "<https://user@registry.example:5000/>; rel=next",
    "<file:///etc/passwd>; rel=next",
  ];
  for (const link of elsewhere) {
    it(`refuses ${link}`, () => {
      assert.throws(() => next(link), coded("UnsafeRedirect", /^(?!.*secret)/));
    });
  }

  const malformed = [
    "/v2/a>; rel=next",
    "</v2/a",
    "</a>; rel=next junk",
    "</a> </b>; rel=next",
    `<${"x".repeat(5000)}>`,
  ];
  for (const link of malformed) {
    it(`takes ${link.slice(0, 30)} for a fault, not for the end`, () => {
      assert.throws(() => next(link), coded("BadResponse"));
    });
  }

  it("takes a target that is no URL for a fault", () => {
    assert.throws(() => next("<https://[>; rel=next"), coded("BadResponse"));
  });
});
