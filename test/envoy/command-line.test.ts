import assert from "node:assert/strict";
import fc from "fast-check";
import { type CommandLine, readCommandLine, replaceConfigPath } from "../../src/envoy/command-line.ts";

const OTHER = "/wasmount/bootstrap/etc/envoy/envoy.yaml";

function pathOf(
  command: readonly string[] | undefined,
  args?: readonly string[],
): Extract<CommandLine, { kind: "path" }> {
  const line = readCommandLine(command, args);
  assert.ok(line.kind === "path", JSON.stringify(line));
  return line;
}

function refused(
  kind: "shell" | "inline" | "unknown",
  command: readonly string[] | undefined,
  args?: readonly string[],
): string {
  const line = readCommandLine(command, args);
  assert.ok(line.kind === kind, JSON.stringify(line));
  return line.why;
}

describe("readCommandLine", () => {
  it("finds the path wherever command and args put it", () => {
    const cases: readonly [command: string[] | undefined, args: string[] | undefined, list: string, index: number][] = [
      [undefined, ["-c", "/x.yaml"], "args", 1],
      [[], ["--config-path", "/x.yaml"], "args", 1],
      [undefined, ["envoy", "-c", "/x.yaml"], "args", 2],
      [["envoy", "-c", "/x.yaml"], undefined, "command", 2],
      [["/usr/local/bin/envoy"], ["-l", "debug", "-c", "/x.yaml", "--concurrency", "2"], "args", 3],
      [["envoy", "-c"], ["/x.yaml"], "args", 0],
      [["/docker-entrypoint.sh"], ["-c", "/x.yaml"], "args", 1],
      [["/docker-entrypoint.sh", "envoy"], ["-c", "/x.yaml"], "args", 1],
      [["tini", "--", "envoy"], ["-c", "/x.yaml"], "args", 1],
      [["/usr/bin/dumb-init", "--single-child", "--"], ["envoy", "-c", "/x.yaml"], "args", 2],
      [["envoy"], ["", "-", "-c", "/x.yaml"], "args", 3],
      [["envoy"], ["--disable-hot-restart", "-c", "/x.yaml"], "args", 2],
      [["envoy"], ["--service-node", "-c", "-c", "/x.yaml"], "args", 3],
      [["envoy"], ["--service-cluster", "$(POD)", "-c", "/x.yaml"], "args", 3],
      [["envoy"], ["--new-switch", "-c", "/x.yaml"], "args", 2],
      [["envoy"], ["--new-option", "value", "-c", "/x.yaml"], "args", 3],
      [["envoy"], ["-c", "/x.yaml", "--", "-c", "/y.yaml"], "args", 1],
      [["envoy"], ["-c", "/x.yaml", "--ignore_rest", "junk"], "args", 1],
    ];
    for (const [command, args, list, index] of cases) {
      const { path, where } = pathOf(command, args);
      assert.deepEqual([path, where], ["/x.yaml", { list, index, form: "separate" }], JSON.stringify([command, args]));
    }
  });

  it("finds the path in one word with its flag", () => {
    for (const word of ["-c /x.yaml", "--config-path /x.yaml"]) {
      const { path, where } = pathOf(["envoy", "-l", "info"], [word]);
      assert.deepEqual([path, where], ["/x.yaml", { list: "args", index: 0, form: "joined" }]);
    }
  });

  it("takes neither command nor args for the image's default", () => {
    assert.deepEqual(readCommandLine(undefined, undefined), { kind: "implicit" });
    assert.deepEqual(readCommandLine([], []), { kind: "implicit" });
  });

  it("knows that a command drops the image's default arguments", () => {
    assert.match(refused("unknown", ["envoy"]), /without -c or --config-path/);
    assert.match(refused("unknown", ["/docker-entrypoint.sh"]), /starts nothing/);
    assert.match(refused("unknown", undefined, ["-l", "debug"]), /without -c or --config-path/);
  });

  it("doesn't read what a shell would", () => {
    assert.match(refused("shell", ["/bin/sh", "-c", "envoy -c /etc/envoy/envoy.yaml"]), /it starts sh,/);
    assert.match(refused("shell", ["sh"], ["-c", "/x.yaml"]), /it starts sh,/);
    assert.match(refused("shell", undefined, ["bash", "-c", "envoy"]), /it starts bash,/);
    assert.match(refused("shell", ["/docker-entrypoint.sh"], ["sh", "-c", "envoy"]), /it starts sh,/);
    assert.match(refused("shell", ["tini", "--"], ["sh", "-c", "envoy"]), /it starts sh,/);
  });

  it("doesn't guess at other programs", () => {
    assert.match(refused("unknown", ["/start.sh", "-c", "/x.yaml"]), /it starts "\/start.sh", not envoy/);
    assert.match(refused("unknown", undefined, ["./envoyer", "-c", "/x.yaml"]), /not envoy/);
    assert.match(refused("unknown", ["tini"]), /it starts nothing/);
  });

  it("refuses what Envoy refuses, and says how to write it", () => {
    for (const word of ["-c/x.yaml", "-c=/x.yaml", "--config-path=/x.yaml"]) {
      assert.match(refused("unknown", ["envoy", word]), /write -c and the path as two arguments/);
    }
    assert.match(refused("unknown", ["envoy", "-c", "/x.yaml", "-c", "/y.yaml"]), /given twice/);
    assert.match(refused("unknown", ["envoy", "-c", "/x.yaml", "--config-path", "/x.yaml"]), /given twice/);
    assert.match(refused("unknown", ["envoy", "-c", "/x.yaml", "stray"]), /stray argument "stray"/);
    assert.match(
      refused("unknown", ["envoy", "--enable-core-dump", "stray", "-c", "/x.yaml"]),
      /stray argument "stray"/,
    );
    assert.match(refused("unknown", ["envoy", "-c"]), /path "" is not an absolute path/);
  });

  it("refuses a path that can't be told from here", () => {
    for (const path of ["$(CONFIG)", "/etc/$(NAME).yaml", "/etc/$$(NAME).yaml", "envoy.yaml", "./envoy.yaml", ""]) {
      assert.match(refused("unknown", ["envoy", "-c", path]), /is not an absolute path written out/);
    }
    assert.match(refused("unknown", ["envoy", "-c", "/x.yaml"], ["$(MORE)"]), /may expand to anything/);
    assert.match(refused("unknown", ["envoy"], ["$(MORE)", "-c", "/x.yaml"]), /may expand to anything/);
    assert.match(refused("unknown", ["envoy"], ["-c", "/x.yaml", "--$(FLAG)"]), /may expand to anything/);
  });

  it("lets --config-yaml set what is not a listener", () => {
    for (const yaml of ["", "~", "node: {id: x}", "admin: {address: {}}\nnode: {cluster: x}", '{"node": {}}']) {
      assert.equal(pathOf(["envoy", "-c", "/x.yaml", "--config-yaml", yaml]).path, "/x.yaml");
      assert.equal(pathOf(["envoy", "--config-yaml", yaml, "-c", "/x.yaml"]).path, "/x.yaml");
    }
  });

  it("tells a configuration in the arguments", () => {
    const bring = [
      "static_resources: {}",
      "dynamicResources: {}",
      '{"staticResources": {}}',
      "node: {}\ndynamic_resources: {}",
    ];
    for (const yaml of [
      ...bring,
      "$(CONFIG)",
      "node: {id: $(POD_NAME)}",
      "- list",
      "{",
      "{$(KEY): {}}",
      "a: 1\n---\nb: 2",
      "[".repeat(1000),
    ]) {
      refused("inline", ["envoy", "-c", "/x.yaml", "--config-yaml", yaml]);
      refused("inline", ["envoy", `--config-yaml ${yaml}`]);
    }
    assert.match(
      refused("inline", ["envoy", "--config-yaml", "static_resources: {}"]),
      /sets static_resources, which can't be edited: put it into the file/,
    );
    assert.match(refused("unknown", ["envoy", "--config-yaml", "node: {}"]), /without -c/);
    assert.match(refused("inline", ["envoy", "--config-yaml", "x".repeat(200_000)]), /longer than/);
  });

  it("comes to a verdict on anything", () => {
    const word = fc.oneof(
      fc.string(),
      fc.constantFrom(
        "envoy",
        "-c",
        "--config-path",
        "--",
        "-",
        "",
        "--config-yaml",
        "-l",
        "sh",
        "tini",
        "/x.yaml",
        "-c /x",
      ),
    );
    const words = fc.option(fc.array(word, { maxLength: 8 }), { nil: undefined });
    fc.assert(
      fc.property(words, words, (command, args) => {
        const line = readCommandLine(command, args);
        if (line.kind !== "path") return;
        const changed = { command, args, ...replaceConfigPath(line, OTHER) };
        assert.equal(pathOf(changed.command, changed.args).path, OTHER);
      }),
    );
  });
});

describe("replaceConfigPath", () => {
  it("changes the path and nothing else", () => {
    const args = ["-l", "debug", "--config-path", "/x.yaml"];
    assert.deepEqual(replaceConfigPath(pathOf(["envoy"], args), OTHER), {
      args: ["-l", "debug", "--config-path", OTHER],
    });
    assert.deepEqual(args, ["-l", "debug", "--config-path", "/x.yaml"]);
  });

  it("changes the list that holds the path", () => {
    assert.deepEqual(replaceConfigPath(pathOf(["envoy", "-c", "/x.yaml"], ["-l", "info"]), OTHER), {
      command: ["envoy", "-c", OTHER],
    });
    assert.deepEqual(replaceConfigPath(pathOf(["envoy", "-c"], ["/x.yaml"]), OTHER), { args: [OTHER] });
  });

  it("keeps flag and path in one word", () => {
    assert.deepEqual(replaceConfigPath(pathOf(undefined, ["-c /x.yaml"]), OTHER), { args: [`-c ${OTHER}`] });
  });

  it("refuses a path that Kubernetes would expand", () => {
    for (const path of ["relative.yaml", "/$(X).yaml", ""]) {
      assert.throws(() => replaceConfigPath(pathOf(undefined, ["-c", "/x.yaml"]), path), TypeError);
    }
  });
});
