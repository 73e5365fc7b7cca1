import assert from "node:assert/strict";
import type { Credential } from "../../src/oci/credentials.ts";
import { dockerCredentials, readDockerConfig, readDockercfg } from "../../src/oci/docker-config.ts";
import { RegistryError } from "../../src/oci/error.ts";

function users(auths: Record<string, unknown>, registry: string, repository = "team/filter"): string[] {
  return names(dockerCredentials([readDockerConfig(JSON.stringify({ auths }), "s")])(registry, repository));
}

function names(credentials: readonly Credential[]): string[] {
  return credentials.map(credential => ("username" in credential ? credential.username : credential.kind));
}

/** What one entry for r.example holds. */
function held(entry: unknown): readonly Credential[] {
  return dockerCredentials([readDockerConfig(JSON.stringify({ auths: { "r.example": entry } }), "s")])(
    "r.example",
    "a",
  );
}

const base64 = (text: string) => Buffer.from(text).toString("base64");

const as2 = (username: string, password: string) => ({ username, password });
const as = (username: string) => as2(username, `secret of ${username}`);

describe("docker configuration", () => {
  it("has a user and a password, in the clear or as auth", () => {
    const auth = Buffer.from("robot:with:colons").toString("base64");
    const source = dockerCredentials([readDockerConfig(JSON.stringify({ auths: { "r.example": { auth } } }), "s")]);
    assert.deepEqual(source("r.example", "a"), [{ kind: "password", username: "robot", password: "with:colons" }]);
    assert.deepEqual(users({ "r.example": as("u") }, "r.example"), ["u"]);
  });

  it("is read in its old form, the map alone", () => {
    const configs = [readDockercfg(JSON.stringify({ "https://r.example/v1/": as("old") }), "s")];
    assert.deepEqual(names(dockerCredentials(configs)("r.example", "a")), ["old"]);
  });

  it("is read in the form that its type says, and in no other", () => {
    assert.deepEqual(readDockerConfig(JSON.stringify({ "r.example": as("u") }), "s"), []);
    assert.deepEqual(readDockercfg(JSON.stringify({ auths: { "r.example": as("u") } }), "s"), []);
  });

  const entries: [what: string, entry: unknown, held: Credential[]][] = [
    [
      "auth before user and password, as docker reads it",
      { auth: base64("right:one"), username: "wrong", password: "two" },
      [{ kind: "password", username: "right", password: "one" }],
    ],
    ["no part of an auth without a colon", { auth: base64("user"), username: "u", password: "p" }, []],
    ["an empty password where it is all there is", as2("u", ""), [{ kind: "password", username: "u", password: "" }]],
    [
      "an identity token, with the user that docker login writes beside it",
      { auth: base64("u:"), identitytoken: "refresh" },
      [{ kind: "identityToken", username: "u", token: "refresh" }],
    ],
    [
      "an identity token alone",
      { identitytoken: "refresh" },
      [{ kind: "identityToken", username: "<token>", token: "refresh" }],
    ],
    [
      "an identity token as the password of <token>",
      { auth: base64("<token>:refresh") },
      [{ kind: "identityToken", username: "<token>", token: "refresh" }],
    ],
    [
      "tokens before the password beside them",
      { username: "u", password: "p", identitytoken: "i", registrytoken: "r" },
      [
        { kind: "registryToken", token: "r" },
        { kind: "identityToken", username: "u", token: "i" },
        { kind: "password", username: "u", password: "p" },
      ],
    ],
    ["no registry token that would break the header", { registrytoken: "r\r\nx-admin: 1" }, []],
    ["no user name with a colon, which would become part of the password", as2("u:p", "q"), []],
    ["no secret that no header holds", as2("u", "p".repeat(65_537)), []],
    ["no secret that is no text", { username: "u", password: 1, identitytoken: {}, registrytoken: [] }, []],
  ];
  for (const [what, entry, expected] of entries) {
    it(`holds ${what}`, () => assert.deepEqual(held(entry), expected));
  }

  const fits: [server: string, registry: string, repository: string, fits: boolean][] = [
    ["r.example", "r.example", "a", true],
    ["https://r.example/v2/", "r.example", "a", true],
    ["R.Example", "r.example", "a", true],
    ["r.example", "evil-r.example", "a", false],
    ["r.example", "r.example.evil", "a", false],
    ["r.example:5000", "r.example:5000", "a", true],
    ["r.example:5000", "r.example", "a", false],
    ["r.example", "r.example:5000", "a", false],
    ["r.example/team", "r.example", "team/filter", true],
    ["r.example/team", "r.example", "team", true],
    ["r.example/team", "r.example", "teammate/filter", false],
    ["*.r.example", "eu.r.example", "a", true],
    ["*.r.example", "r.example", "a", false],
    ["*.r.example", "a.eu.r.example", "a", false],
    ["eu-*.example", "eu-west.example", "a", true],
    ["*.*.example", "a.b.example", "a", true],
    ["*a*b.example", "xaxxb.example", "a", true],
    ["aa*aa.example", "aaa.example", "a", false],
    ["a*b*a.example", "abba.example", "a", true],
    ["r?.example", "r1.example", "a", true],
    ["r?.example", "r.example", "a", false],
    [`${"*a".repeat(60)}.example`, `${"a".repeat(62)}b.example`, "a", false],
    ["r.example:443", "r.example", "a", true],
    ["r.example", "r.example:443", "a", true],
    ["[::1]:5000", "[::1]:5000", "a", true],
    ["[::1]", "[::1]:5000", "a", false],
    ["[::1]:5000", "[::2]:5000", "a", false],
    ["http://r.example:5000", "r.example:5000", "a", true],
    ["r.example/v2/team", "r.example", "team/filter", true],
    ["r.example/team/", "r.example", "team/filter", true],
    ["registry-1.docker.io", "docker.io", "library/x", true],
    ["docker.io/team", "docker.io", "library/x", false],
    ["index.docker.io", "docker.io", "library/x", true],
    ["https://index.docker.io/v1/", "docker.io", "library/x", true],
    ["", "r.example", "a", false],
    ["*", "localhost", "a", true],
    ["*", "r.example", "a", false],
  ];
  for (const [server, registry, repository, expected] of fits) {
    it(`${JSON.stringify(server)} is ${expected ? "" : "not "}for ${registry}/${repository}`, () => {
      assert.deepEqual(users({ [server]: as("u") }, registry, repository), expected ? ["u"] : []);
    });
  }

  it("is asked for the longest pattern first, and then for the next one", () => {
    const auths = { "*.example": as("wild"), "r.example": as("host"), "r.example/team": as("team") };
    assert.deepEqual(users(auths, "r.example"), ["team", "host", "wild"]);
  });

  it("is asked for the longest pattern first whichever configuration has it, and then in their order", () => {
    const configs = [
      { "*.example": as("wild"), "r.example": as("first") },
      { "r.example/team": as("team") },
      { "r.example": as("second"), "r.example/other": as("other") },
    ].map(auths => readDockerConfig(JSON.stringify({ auths }), "s"));
    assert.deepEqual(names(dockerCredentials(configs)("r.example", "team/filter")), [
      "team",
      "first",
      "second",
      "wild",
    ]);
  });

  it("keeps different credentials of one host apart, and gives the same one once", () => {
    const configs = ["a", "b", "a"].map(user =>
      readDockerConfig(JSON.stringify({ auths: { "r.example": as(user) } }), "s"),
    );
    assert.deepEqual(names(dockerCredentials(configs)("r.example", "x")), ["a", "b"]);
  });

  it("passes over entries that hold nothing, such as those of helpers", () => {
    assert.deepEqual(users({ a: {}, "r.example": { email: "e" }, b: null, c: [], d: as("") }, "r.example"), []);
    assert.deepEqual(users({ "r.example": { auth: "!!!" } }, "r.example"), []);
    assert.deepEqual(readDockerConfig(JSON.stringify({ credsStore: "x", credHelpers: { "r.example": "y" } }), "s"), []);
  });

  const broken: [text: string, problem: RegExp][] = [
    ["{hunter2", /s: it is not JSON$/],
    ['"hunter2"', /it is not a JSON object$/],
    ['{"auths": ["hunter2"]}', /auths is not an object$/],
    [`{"a": "${"hunter2".repeat(200_000)}"}`, /longer than 1048576 characters$/],
    [
      JSON.stringify({ auths: Object.fromEntries(Array.from({ length: 1001 }, (_, i) => [`h${i}`, {}])) }),
      /more than 1000 entries$/,
    ],
  ];
  for (const [text, problem] of broken) {
    it(`that is none is refused without a word of it: ${text.slice(0, 20)}`, () => {
      assert.throws(
        () => readDockerConfig(text, "s"),
        (error: unknown) =>
          error instanceof RegistryError &&
          error.code === "BadCredentials" &&
          problem.test(error.message) &&
          !error.message.includes("hunter2"),
      );
    });
  }
});
