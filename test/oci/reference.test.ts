import assert from "node:assert/strict";
import fc from "fast-check";
import { formatReference, hostOf, ImageReferenceError, parseReference } from "../../src/oci/reference.ts";

const HEX = "0123456789abcdef".repeat(4);
const DIGEST = `sha256:${HEX}`;

describe("parseReference", () => {
  const accepted: readonly (readonly [text: string, registry: string, repository: string, rest?: string])[] = [
    ["filter", "docker.io", "library/filter"],
    ["filter:v1", "docker.io", "library/filter", ":v1"],
    ["team/filter", "docker.io", "team/filter"],
    ["docker.io/filter", "docker.io", "library/filter"],
    ["index.docker.io/filter:v1", "docker.io", "library/filter", ":v1"],
    ["registry-1.docker.io/team/filter", "docker.io", "team/filter"],
    ["localhost/filter", "localhost", "filter"],
    ["localhost:5000/filter", "localhost:5000", "filter"],
    // By the grammar of distribution a lone name with a colon has a tag, not a port.
    ["localhost:5000", "docker.io", "library/localhost", ":5000"],
    ["oci://ghcr.io/team/filter:v1", "ghcr.io", "team/filter", ":v1"],
    ["Ghcr.IO/team/filter", "ghcr.io", "team/filter"],
    ["reg.example:443/a/b__c/d-e.f", "reg.example", "a/b__c/d-e.f"],
    ["reg.example:5000/a:V_1.0-x", "reg.example:5000", "a", ":V_1.0-x"],
    ["10.0.0.1:5000/a", "10.0.0.1:5000", "a"],
    ["[::1]:5000/a:v1", "[::1]:5000", "a", ":v1"],
    ["[2001:DB8:0:0::1]/a", "[2001:db8::1]", "a"],
    [`reg.example/a@${DIGEST}`, "reg.example", "a", `@${DIGEST}`],
    [`reg.example/a:v1@${DIGEST}`, "reg.example", "a", `:v1@${DIGEST}`],
  ];
  for (const [text, registry, repository, rest = ""] of accepted) {
    it(`reads ${text}`, () => {
      const reference = parseReference(text);
      assert.equal(reference.registry, registry);
      assert.equal(reference.repository, repository);
      assert.equal(formatReference(reference), `${registry}/${repository}${rest}`);
    });
  }

  const refused: readonly (readonly [text: string, code: string, position: number])[] = [
    ["", "Empty", 0],
    ["a".repeat(1025), "TooLong", 1024],
    ["docker://reg.example/a", "BadRegistry", 6],
    ["https://reg.example/a", "BadRegistry", 5],
    ["oci://oci://reg.example/a", "BadRegistry", 9],
    ["Team/filter", "BadRepository", 0],
    ["reg.example/Team/filter", "BadRepository", 12],
    ["reg.example/team//filter", "BadRepository", 17],
    ["reg.example/", "BadRepository", 12],
    ["reg.example/a/", "BadRepository", 14],
    ["reg.example/../a", "BadRepository", 12],
    ["reg.example/a..b", "BadRepository", 14],
    ["reg.example/a b", "BadRepository", 13],
    ["reg.example/a\nb", "BadRepository", 13],
    ["reg.example/a%2fb", "BadRepository", 13],
    [`reg.example/${"a".repeat(256)}`, "BadRepository", 267],
    ["reg.example/a:", "BadTag", 14],
    ["reg.example/a:-v1", "BadTag", 14],
    ["reg.example/a:v1/b:w", "BadRepository", 13],
    [`reg.example/a:${"v".repeat(129)}`, "BadTag", 142],
    ["reg.example/a@", "BadDigest", 14],
    ["reg.example/a@sha512:00", "BadDigest", 17],
    [`reg.example/a@sha256:${HEX.toUpperCase()}`, "BadDigest", 31],
    [`reg.example/a@${DIGEST}0`, "BadDigest", 85],
    [`reg.example/a@${DIGEST}/../../x`, "BadDigest", 85],
    [`reg.example/a@${DIGEST}@${DIGEST}`, "BadDigest", 85],
    ["reg..example/a", "BadRegistry", 3],
    ["reg.example./a", "BadRegistry", 11],
    ["-reg.example/a", "BadRegistry", 0],
    ["rég.example/a", "BadRegistry", 1],
    ["user@reg.example/a", "BadDigest", 5],
    ["reg.example:0/a", "BadRegistry", 12],
    ["reg.example:070/a", "BadRegistry", 12],
    ["reg.example:65536/a", "BadRegistry", 12],
    ["reg.example:/a", "BadRegistry", 12],
    ["127.1:5000/a", "BadRegistry", 0],
    ["0x7f.0.0.1/a", "BadRegistry", 0],
    ["2130706433:80/a", "BadRegistry", 0],
    ["[::1/a", "BadRegistry", 4],
    ["[::1]x/a", "BadRegistry", 5],
    ["[fe80::1%25eth0]/a", "BadRegistry", 1],
    ["[::1]", "BadRepository", 5],
    [HEX, "BadRepository", 0],
    ["Host/a", "BadRepository", 0],
    ["reg.example/a:v1:v2", "BadRepository", 13],
    ["reg.example//a", "BadRepository", 12],
    ["reg.example/a/Team", "BadRepository", 14],
    ["reg.example/a___b", "BadRepository", 15],
    [`${"a".repeat(64)}.example/a`, "BadRegistry", 0],
  ];
  for (const [text, code, position] of refused) {
    it(`refuses ${JSON.stringify(text.slice(0, 60))} at ${position}`, () => {
      assert.throws(
        () => parseReference(text),
        (error: unknown) => {
          assert.ok(error instanceof ImageReferenceError);
          assert.deepEqual([error.code, error.position], [code, position]);
          assert.doesNotMatch(error.message, /\n/);
          return true;
        },
      );
    });
  }

  it("says what is wrong, where, and what would be right", () => {
    assert.throws(() => parseReference("reg.example/Team"), {
      message:
        '"reg.example/Team" is not an image reference: unexpected "T" at character 13; a repository is made of ' +
        'lower-case letters and digits, joined by ".", "_", "__", dashes and "/"',
    });
  });

  it("shows what stands around the fault, wherever that is", () => {
    const text = `reg.example/${"a".repeat(200)}/B/${"c".repeat(200)}`;
    assert.throws(
      () => parseReference(text),
      /^ImageReferenceError: "…a{59}\/B\/c{58}…" is not an image reference: unexpected "B" at character 214;/,
    );
  });

  it("shows nothing that changes how a message reads", () => {
    const message = (text: string) => {
      try {
        return String(parseReference(text));
      } catch (error) {
        return String(error);
      }
    };
    assert.match(message("reg.example/a\u202eb"), /"reg\.example\/a\?b" .* unexpected U\+202E at character 14/);
    assert.match(message("reg.example/a\n\u001b[31m"), /"reg\.example\/a\?\?\[31m" .* unexpected U\+000A/);
    assert.match(message("reg.example/\u{1f600}"), /unexpected U\+1F600 at character 13/);
  });

  it("reads back what formatReference wrote, and never lets a reference leave its path", () => {
    const word = fc.stringMatching(/^[a-z0-9]{1,8}(?:(?:\.|_|__|-)[a-z0-9]{1,8}){0,2}$/);
    const host = fc.oneof(
      fc.constantFrom("docker.io", "localhost:5000", "[::1]:8080", "10.1.2.3"),
      fc.stringMatching(/^[a-z][a-z0-9]{0,9}\.(?:example|test)(?::[1-9][0-9]{0,3})?$/),
    );
    const reference = fc.record({
      registry: host,
      repository: fc.array(word, { minLength: 2, maxLength: 4 }).map(parts => parts.join("/")),
      tag: fc.option(fc.stringMatching(/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,20}$/)),
      digest: fc.option(fc.stringMatching(/^sha256:[0-9a-f]{64}$/)),
    });
    fc.assert(
      fc.property(reference, one => {
        assert.deepEqual(parseReference(formatReference(one)), { ...one });
      }),
    );
  });

  it("gives any text one spelling or a reason, and nothing else", () => {
    const text = fc.oneof(
      fc.string({ unit: "grapheme" }),
      fc.string({
        unit: fc.constantFrom("a", "B", "1", ".", "_", "-", "/", ":", "@", "[", "]", "sha256:", "xn--", "0x"),
      }),
    );
    fc.assert(
      fc.property(text, one => {
        try {
          const parsed = parseReference(one);
          assert.deepEqual(parseReference(formatReference(parsed)), parsed);
          const url = new URL(`https://${hostOf(parsed.registry)}/v2/${parsed.repository}/`);
          assert.equal(url.pathname, `/v2/${parsed.repository}/`);
          assert.equal(url.host, hostOf(parsed.registry));
        } catch (error) {
          assert.ok(error instanceof ImageReferenceError, String(error));
          assert.ok(error.position >= 0 && error.position <= one.length);
        }
      }),
      { numRuns: 2000 },
    );
  });
});

describe("hostOf", () => {
  it("knows where Docker Hub speaks HTTP", () => {
    assert.equal(hostOf("docker.io"), "registry-1.docker.io");
    assert.equal(hostOf("ghcr.io"), "ghcr.io");
  });
});
