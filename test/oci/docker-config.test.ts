import assert from "node:assert/strict";
import { dockerCredentials, readDockerConfig } from "../../src/oci/docker-config.ts";
import { RegistryError } from "../../src/oci/error.ts";

function users(auths: Record<string, unknown>, registry: string, repository = "team/filter"): string[] {
  return dockerCredentials([readDockerConfig(JSON.stringify({ auths }), "s")])(registry, repository).map(
    ({ username }) => username,
  );
}

const as = (username: string) => ({ username, password: "p" });

describe("docker configuration", () => {
  it("has a user and a password, in the clear or as auth", () => {
    const auth = Buffer.from("robot:with:colons").toString("base64");
    const source = dockerCredentials([readDockerConfig(JSON.stringify({ auths: { "r.example": { auth } } }), "s")]);
    assert.deepEqual(source("r.example", "a"), [{ kind: "password", username: "robot", password: "with:colons" }]);
    assert.deepEqual(users({ "r.example": as("u") }, "r.example"), ["u"]);
  });

  it("is read in its old form, the map alone", () => {
    const configs = [readDockerConfig(JSON.stringify({ "https://r.example/v1/": as("old") }), "s")];
    assert.equal(dockerCredentials(configs)("r.example", "a")[0]?.username, "old");
  });

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

  it("passes over entries that name no user, such as those of helpers", () => {
    assert.deepEqual(users({ a: {}, "r.example": { identitytoken: "t" }, b: null, c: [], d: as("") }, "r.example"), []);
    assert.deepEqual(users({ "r.example": { auth: "!!!" } }, "r.example"), []);
  });

  const broken: [text: string, problem: RegExp][] = [
    ["{hunter2", /s: it is not JSON$/],
    ['"hunter2"', /it is not a JSON object$/],
    ['{"auths": ["hunter2"]}', /auths is not an object$/],
    [`{"a": "${"hunter2".repeat(200_000)}"}`, /longer than 1048576 characters$/],
    [
      JSON.stringify(Object.fromEntries(Array.from({ length: 1001 }, (_, i) => [`h${i}`, {}]))),
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
