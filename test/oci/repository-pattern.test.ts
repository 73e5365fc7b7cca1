import assert from "node:assert/strict";
import { readRepositoryPattern, servesRepository } from "../../src/oci/repository-pattern.ts";

describe("patterns of repositories", () => {
  const cases: [pattern: string, registry: string, repository: string, serves: boolean][] = [
    ["r.example/team/filter", "r.example", "team/filter", true],
    ["r.example/team/filter", "r.example", "team/filters", false],
    ["r.example/team/filter", "r.example", "team/filter/x", false],
    ["r.example/team/filter", "r.example:5000", "team/filter", false],
    ["r.example/team/*", "r.example", "team/filter", true],
    ["r.example/team/*", "r.example", "team/a/b", false],
    ["r.example/team/*", "r.example", "team", false],
    ["r.example/*/filter", "r.example", "team/filter", true],
    ["r.example/team/**", "r.example", "team/a/b", true],
    ["r.example/team/**", "r.example", "team", false],
    ["r.example/team/**", "r.example", "teammate/a", false],
    ["r.example/**", "r.example", "a", true],
    ["r.example/**", "r.example.evil", "a", false],
    ["docker.io/**", "docker.io", "library/x", true],
    ["[::1]:5000/*", "[::1]:5000", "a", true],
  ];
  for (const [text, registry, repository, serves] of cases) {
    it(`${text} ${serves ? "serves" : "does not serve"} ${registry}/${repository}`, () => {
      const pattern = readRepositoryPattern(text) ?? assert.fail("it was refused");
      assert.equal(servesRepository(pattern, registry, repository), serves);
    });
  }

  const refused = [
    "",
    "*",
    "**",
    "r.example",
    "r.example/",
    "*.example/team/*",
    "r.example/team-*",
    "r.example/**/filter",
    "r.example/team:v1",
    `r.example/team@sha256:${"a".repeat(64)}`,
    "https://r.example/team",
    "R.example/team",
    "r.example:443/team",
    "docker.io/nginx",
    "index.docker.io/library/nginx",
    "team/filter",
    "r.example/../team",
  ];
  for (const text of refused) {
    it(`refuses ${JSON.stringify(text)}`, () => assert.equal(readRepositoryPattern(text), null));
  }
});
