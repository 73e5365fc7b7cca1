import assert from "node:assert/strict";
import { readSettings, type Settings } from "../../src/admission/settings.ts";
import { readSwitch } from "../../src/admission/switch.ts";
import type { Reason } from "../../src/decision/reason.ts";
import { isRefusal } from "../../src/decision/refusal.ts";
import { sampleNamespace, samplePod } from "./pods.ts";

const limits = { filters: 3, configBytes: 1024 };
const prefix = "wasmount.dev/";

/** Settings of annotations written without their prefix, on a pod that names no module of its own. */
function read(onPod: Record<string, string>, onNamespace: Record<string, string> = {}) {
  const prefixed = (map: Record<string, string>) =>
    Object.fromEntries(Object.entries(map).map(([key, value]) => [prefix + key, value]));
  const pod = samplePod();
  const bare = { ...pod, metadata: { ...pod.metadata, annotations: prefixed(onPod) } };
  return readSettings(bare, sampleNamespace({ annotations: prefixed(onNamespace) }), limits);
}

function settings(onPod: Record<string, string>, onNamespace: Record<string, string> = {}): Settings {
  const result = read(onPod, onNamespace);
  if (isRefusal(result)) return assert.fail(`${result.reason}: ${result.detail}`);
  return result;
}

function refused(reason: Reason, detail: RegExp, onPod: Record<string, string>, onNamespace = {}): void {
  const result = read(onPod, onNamespace);
  assert.ok(isRefusal(result), "it was accepted");
  assert.equal(result.reason, reason);
  assert.match(result.detail, detail);
}

describe("switch", () => {
  const INJECT = "wasmount.dev/inject";
  const cases: [pod: string | null, namespace: string | null, state: string][] = [
    [null, null, "off"],
    ["true", null, "on"],
    ["false", null, "opted-out"],
    [null, "true", "on"],
    [null, "false", "off"],
    ["true", "false", "on"],
    ["false", "true", "opted-out"],
    ["true", "true", "on"],
    ["yes", null, "BadSwitch"],
    ["yes", "true", "BadSwitch"],
    [null, "True", "BadSwitch"],
    ["true", "", "BadSwitch"],
  ];
  const locked: [pod: string | null, lock: string, state: string][] = [
    [null, "true", "on"],
    ["true", "true", "on"],
    ["false", "true", "Locked"],
    ["junk", "true", "BadSwitch"],
    ["false", "false", "opted-out"],
    [null, "yes", "BadSwitch"],
  ];
  for (const [pod, lock, state] of locked) {
    it(`pod ${pod ?? "unset"}, namespace locked ${lock}: ${state}`, () => {
      const result = readSwitch(
        samplePod(pod === null ? {} : { labels: { [INJECT]: pod } }),
        sampleNamespace({ labels: { "wasmount.dev/locked": lock } }),
      );
      assert.equal(isRefusal(result) ? result.reason : result, state);
    });
  }

  for (const [pod, namespace, state] of cases) {
    it(`pod ${pod ?? "unset"}, namespace ${namespace ?? "unset"}: ${state}`, () => {
      const result = readSwitch(
        samplePod(pod === null ? {} : { labels: { [INJECT]: pod } }),
        sampleNamespace({ labels: namespace === null ? {} : { [INJECT]: namespace } }),
      );
      assert.equal(isRefusal(result) ? result.reason : result, state);
    });
  }
});

describe("settings", () => {
  it("reads every option of a filter", () => {
    const [filter] = settings({
      "module.auth": "oci://registry.example/auth:1",
      "config.auth": "plain text",
      "phase.auth": "first",
      "order.auth": "-5",
      "root-id.auth": "my root",
      "direction.auth": "outbound",
      "on-failure.auth": "open",
      "runtime-failure.auth": "reload",
      "capabilities.auth": "proxy_log, proxy_get_property,proxy_log",
    }).filters;
    assert.deepEqual(filter, {
      name: "auth",
      module: "oci://registry.example/auth:1",
      config: "plain text",
      phase: "first",
      order: -5,
      rootId: "my root",
      direction: "outbound",
      onFailure: "open",
      runtimeFailure: "reload",
      capabilities: ["proxy_get_property", "proxy_log"],
    });
  });

  it("runs a filter last, in the middle of the order, without config or root id, where nothing is said", () => {
    const [filter] = settings({ "module.auth": "a/b:1" }).filters;
    assert.deepEqual(filter, {
      name: "auth",
      module: "a/b:1",
      config: null,
      phase: "last",
      order: 0,
      rootId: null,
      direction: "inbound",
      onFailure: "block",
      runtimeFailure: "closed",
      capabilities: null,
    });
  });

  it("reads what is said about the fetcher, quantities as the API server stores them", () => {
    const { pullSecret, resources } = settings({
      "module.auth": "a/b:1",
      "pull-secret": "registry.login",
      resources: '{"requests":{"cpu":0.5},"limits":{"memory":"1024Mi"}}',
    });
    assert.equal(pullSecret, "registry.login");
    assert.deepEqual(resources, { requests: { cpu: "500m" }, limits: { memory: "1Gi" } });
  });

  it("allows no host call at all where the list of capabilities is empty", () => {
    assert.deepEqual(settings({ "module.auth": "a/b:1", "capabilities.auth": "" }).filters[0]?.capabilities, []);
  });

  it("merges namespace and pod key by key, the pod's over the namespace's", () => {
    const { filters, proxyContainer } = settings(
      { "module.auth": "pod/auth:2", "phase.limits": "first" },
      {
        "module.auth": "ns/auth:1",
        "config.auth": "from ns",
        "module.limits": "ns/limits:1",
        "proxy-container": "side",
      },
    );
    assert.deepEqual(
      filters.map(({ name, module, config, phase }) => ({ name, module, config, phase })),
      [
        { name: "auth", module: "pod/auth:2", config: "from ns", phase: "last" },
        { name: "limits", module: "ns/limits:1", config: null, phase: "first" },
      ],
    );
    assert.equal(proxyContainer, "side");
  });

  it("orders filters by order, then by name", () => {
    const { filters } = settings({ "module.b": "x/b:1", "module.a": "x/a:1", "module.c": "x/c:1", "order.c": "-1" });
    assert.deepEqual(
      filters.map(({ name }) => name),
      ["c", "a", "b"],
    );
  });

  it("refuses a bad option even beside a filter that the pod removes", () => {
    refused("BadValue", /phase\.a="middle"/, { "module.a": "none", "phase.a": "middle" }, { "module.a": "x/a:1" });
  });

  it("takes nothing from the pods of a locked namespace", () => {
    const namespace = sampleNamespace({
      labels: { "wasmount.dev/locked": "true" },
      annotations: { [`${prefix}module.auth`]: "x/a:1", [`${prefix}config.auth`]: "c" },
    });
    const pod = (annotations: Record<string, string>) => ({ ...samplePod(), metadata: { annotations } });
    for (const key of ["module.auth", "module.other", "config.auth", "proxy-container", "unknown"]) {
      const result = readSettings(pod({ [prefix + key]: "none" }), namespace, limits);
      assert.ok(isRefusal(result), key);
      assert.equal(result.reason, "Locked");
      assert.match(result.detail, /on the pod: namespace shop is locked, leave it out/);
    }
    const kept = readSettings(pod({ "other.example/x": "y", [`${prefix}status`]: "written by us" }), namespace, limits);
    assert.ok(!isRefusal(kept));
    assert.equal(kept.filters[0]?.module, "x/a:1");
  });

  it("drops a namespace's filter and its options where the pod says none", () => {
    assert.deepEqual(settings({ "module.auth": "none" }, { "module.auth": "x/a:1", "config.auth": "c" }).filters, []);
  });

  it("tells of a filter that the pod removes and its namespace doesn't have", () => {
    const { filters, removedInVain } = settings({ "module.atuh": "none" }, { "module.auth": "x/a:1" });
    assert.deepEqual(
      filters.map(({ name }) => name),
      ["auth"],
    );
    assert.deepEqual(removedInVain, ["atuh"]);
    assert.deepEqual(settings({ "module.auth": "none" }, { "module.auth": "x/a:1" }).removedInVain, []);
  });

  it("lets no namespace remove what it would give itself", () => {
    refused("BadValue", /module\.auth=none on namespace shop: "none" is for pods/, {}, { "module.auth": "none" });
    refused("BadValue", /is for pods/, { "module.auth": "x/a:1" }, { "module.auth": "none" });
  });

  it("ignores other prefixes and the status that we write", () => {
    assert.deepEqual(settings({ status: "forged", "module.a": "x/a:1" }).filters.length, 1);
  });

  describe("configuration", () => {
    const config = (text: string) => settings({ "module.a": "x/a:1", "config.a": text }).filters[0]?.config;
    it("keeps JSON as it is written", () => assert.equal(config('{"b": 1,  "a": 1e400}'), '{"b": 1,  "a": 1e400}'));
    it("turns a YAML mapping into JSON", () => assert.equal(config("a: 1\nb: [x, y]\n"), '{"a":1,"b":["x","y"]}'));
    const kept = [
      "just words\n",
      "a = b\nc = d\n",
      "[section]\nkey=value: x\n",
      "# a comment\nallow 10.0.0.0/8\n",
      "http://example.com/path: no key, since no blank follows the scheme's colon",
      "- a\n- b\n",
      "(?i)bot|crawler",
      "function on_request(h)\n  return true\nend\n",
      "<xml a='b'/>",
      '"only a string"',
      "",
      "  \n",
    ];
    for (const text of kept) it(`keeps ${JSON.stringify(text.slice(0, 40))}`, () => assert.equal(config(text), text));

    const converted: [yaml: string, json: string][] = [
      ["a:\n  b: 1.5\n  c: [true, null, ~]\n", '{"a":{"b":1.5,"c":[true,null,null]}}'],
      ["# first a comment\n---\na: 1\n", '{"a":1}'],
      ["id: 12345678901234567890\n", '{"id":12345678901234567890}'],
      ['"quoted key": x', '{"quoted key":"x"}'],
      ["{a: 1, b: two}", '{"a":1,"b":"two"}'],
      ["a: &x [1]\nb: *x\n", '{"a":[1],"b":[1]}'],
      ["a: yes\nb: 2026-01-01\nc: 1_000\n", '{"a":"yes","b":"2026-01-01","c":"1_000"}'],
      ["__proto__: {x: 1}\n", '{"__proto__":{"x":1}}'],
      ["a: |\n  two\n  lines\n", '{"a":"two\\nlines\\n"}'],
    ];
    for (const [yaml, json] of converted)
      it(`turns ${JSON.stringify(yaml)} into JSON`, () => assert.equal(config(yaml), json));

    const refusedTexts: [text: string, problem: RegExp][] = [
      ['{"a": ', /starts like a YAML or JSON object but is not one/],
      ["a: b: c\nd", /mapping/i],
      ["a: 1\na: 2\n", /the key "a" stands twice/],
      ["a:\n\tb: 1\n", /starts like/],
      ["a: .inf\n", /JSON has no number Infinity: put it in quotes/],
      ["a: !!binary aGk=\n", /starts like/],
      ["a: !custom x\n", /starts like/],
      ["1: a\n", /the key 1 is not text/],
      ["a: 1\n---\nb: 2\n", /more than one YAML document/],
      [`a: ${"[".repeat(500)}`, /nests deeper|starts like/],
      [`a: ${"[".repeat(300)}${"]".repeat(300)}`, /nests deeper/],
      [`x: &a [${"x,".repeat(20)}]\nb: [${"*a,".repeat(80)}]\n`, /as JSON it has more than 1024 bytes/],
      [
        `a: &a [x,x,x,x,x,x,x,x]\nb: &b [${"*a,".repeat(8)}]\nc: &c [${"*b,".repeat(8)}]\nd: [${"*c,".repeat(8)}]\n`,
        /alias/i,
      ],
    ];
    for (const [text, problem] of refusedTexts) {
      it(`refuses ${JSON.stringify(text.slice(0, 40))}`, () =>
        refused("BadValue", problem, { "module.a": "x/a:1", "config.a": text }));
    }

    it("costs no square of its number of keys", function () {
      // With the square each of these takes minutes, without it a second.
      this.timeout(60_000);
      const keys = Array.from({ length: 60_000 }, (_, index) => `k${index}:`);
      for (const text of [keys.join("\n"), `{${keys.map(key => key.slice(0, -1)).join(",")}}`]) {
        const pod = {
          metadata: { annotations: { [`${prefix}module.a`]: "x", [`${prefix}config.a`]: text } },
          spec: { containers: [] },
        };
        readSettings(pod, sampleNamespace(), { filters: 3, configBytes: 1 << 24 });
      }
    });

    for (const text of ["a: &a [*a]", "a: &a {b: *a}", "a: &a\n  b: &b\n    - *a\n    - *b"]) {
      it(`is refused where it holds itself: ${JSON.stringify(text)}`, () =>
        refused("BadValue", /an alias stands inside of what it repeats/, { "module.a": "x/a:1", "config.a": text }));
    }

    it("is refused as a whole where YAML would cost too much together", () => {
      const yaml = `a: ${"x".repeat(600)}`;
      refused("ConfigTooLarge", /in YAML have 1206 bytes together, at most 1024/, {
        "module.a": "x/a:1",
        "config.a": yaml,
        "module.b": "x/b:1",
        "config.b": yaml,
      });
    });

    it("is not parsed where there are too many filters", () => {
      const annotations = Object.fromEntries(
        ["a", "b", "c", "d"].flatMap(name => [
          [`module.${name}`, "x"],
          [`config.${name}`, "a: ["],
        ]),
      );
      refused("TooManyFilters", /4 filters/, annotations);
    });

    it("refuses one that is too large", () => {
      refused("ConfigTooLarge", /1025 bytes, at most 1024/, { "module.a": "x/a:1", "config.a": "x".repeat(1025) });
    });
    it("counts bytes, not characters", () => {
      refused("ConfigTooLarge", /1026 bytes/, { "module.a": "x/a:1", "config.a": "é".repeat(513) });
    });
    it("refuses a lone surrogate", () => {
      refused("BadValue", /surrogate/, { "module.a": "x/a:1", "config.a": "\ud800" });
    });
  });

  describe("refuses what it does not understand", () => {
    const module = { "module.auth": "x/a:1" };
    it("an unknown key, with the nearest spelling", () => {
      refused("UnknownKey", /wasmount\.dev\/modul\.auth on the pod: did you mean wasmount\.dev\/module\.auth\?/, {
        "modul.auth": "x",
      });
      refused("UnknownKey", /did you mean wasmount\.dev\/proxy-container\?/, { "proxy-contaner": "x" });
      refused("UnknownKey", /known are module\.<filter>, /, { "something-else": "x" });
      refused("UnknownKey", /did you mean wasmount\.dev\/module\.<filter>\?/, { module: "x" });
    });
    it("a key on the namespace, naming the namespace", () => {
      refused("UnknownKey", /on namespace shop/, module, { "modul.auth": "x" });
    });
    it("a filter name that is no DNS label", () => {
      refused("BadFilterName", /module\.Auth/, { "module.Auth": "x/a:1" });
      refused("BadFilterName", /DNS label/, { [`module.${"a".repeat(64)}`]: "x/a:1" });
      refused("BadFilterName", /DNS label/, { "module.": "x/a:1" });
    });
    it("a phase other than first and last", () => {
      refused("BadValue", /phase\.auth="middle" on the pod: allowed are "first", "last" \(the default\)/, {
        ...module,
        "phase.auth": "middle",
      });
    });
    it("a choice that is misspelt, naming the one that was meant", () => {
      refused("BadValue", /allowed are .*, did you mean "first"\?$/, { "module.a": "x/a:1", "phase.a": "Frist" });
      refused("BadValue", /did you mean "inbound"\?$/, { "module.a": "x/a:1", "direction.a": "inbund" });
      refused("BadValue", /did you mean "reload"\?$/, { "module.a": "x/a:1", "runtime-failure.a": "reloade" });
      refused("BadValue", /\(the default\)$/, { "module.a": "x/a:1", "phase.a": "whatever" });
    });

    it("a direction and a failure that are none", () => {
      refused("BadValue", /direction\.auth="sideways" .*"inbound" \(the default\), "outbound", "gateway"/, {
        ...module,
        "direction.auth": "sideways",
      });
      refused("BadValue", /runtime-failure\.auth="maybe" .*"closed" \(the default\), "open", "reload"/, {
        ...module,
        "runtime-failure.auth": "maybe",
      });
    });
    it("an on-failure that is none", () => {
      refused("BadValue", /on-failure\.auth="closed" .*"block" \(the default\), "open"/, {
        ...module,
        "on-failure.auth": "closed",
      });
    });
    it("a capability that is no host call, with the nearest spelling", () => {
      refused("BadValue", /"proxy_logg" is not a host call of Proxy-Wasm, did you mean proxy_log\?/, {
        ...module,
        "capabilities.auth": "proxy_get_property,proxy_logg",
      });
      refused("BadValue", /"" is not a host call/, { ...module, "capabilities.auth": "proxy_log," });
      refused("BadValue", /is not a host call/, { ...module, "capabilities.auth": "proxy_on_request_headers" });
    });
    it("a pull secret that no Secret can be called", () => {
      refused("BadValue", /pull-secret="Not_One" on the pod: the name of a Secret/, { "pull-secret": "Not_One" });
      refused("BadValue", /the name of a Secret/, { "pull-secret": "../x" });
    });
    const resources: [text: string, problem: RegExp][] = [
      ["{", /it is not JSON; JSON such as \{/],
      ["[]", /it is not an object/],
      ['{"limit":{}}', /"limit" is not a member/],
      ['{"limits":[]}', /limits is not an object/],
      ['{"limits":{"nvidia.com/gpu":"1"}}', /"nvidia\.com\/gpu" in limits is not a resource/],
      ['{"limits":{"cpu":"-1"}}', /"-1" in limits is not a quantity/],
      ['{"limits":{"cpu":"1e3"}}', /"1e3" in limits is not a quantity/],
      ['{"limits":{"cpu":null}}', /"null" in limits is not a quantity/],
    ];
    for (const [text, problem] of resources) {
      it(`resources ${text}`, () => refused("BadValue", problem, { ...module, resources: text }));
    }
    it("a label of ours that means nothing, on pod or namespace", () => {
      const labelled = readSettings(
        samplePod({ labels: { "wasmount.dev/injcet": "true" } }),
        sampleNamespace(),
        limits,
      );
      assert.ok(isRefusal(labelled));
      assert.equal(labelled.reason, "UnknownKey");
      assert.match(labelled.detail, /label wasmount\.dev\/injcet on the pod: did you mean wasmount\.dev\/inject\?/);
      const namespace = sampleNamespace({ labels: { "wasmount.dev/lock": "true" } });
      const inherited = readSettings(samplePod(), namespace, limits);
      assert.ok(isRefusal(inherited));
      assert.match(
        inherited.detail,
        /label wasmount\.dev\/lock on namespace shop: did you mean wasmount\.dev\/locked\?/,
      );
    });
    it("an order that is no integer", () => {
      refused("BadValue", /order\.auth="1.5"/, { ...module, "order.auth": "1.5" });
      refused("BadValue", /integer/, { ...module, "order.auth": "1e3" });
    });
    it("a root id with control characters", () => {
      refused("BadValue", /root-id\.auth/, { ...module, "root-id.auth": "a\u0000b" });
    });
    it("an option without its module", () => {
      refused("OrphanOption", /config\.other on the pod: there is no wasmount\.dev\/module\.other/, {
        ...module,
        "config.other": "x",
      });
    });
    it("more filters than allowed", () => {
      refused("TooManyFilters", /4 filters, at most 3/, {
        "module.a": "x",
        "module.b": "x",
        "module.c": "x",
        "module.d": "x",
      });
    });
    it("a proxy container that can't be a name, and a configuration path that is relative", () => {
      refused("BadValue", /proxy-container="A B"/, { ...module, "proxy-container": "A B" });
      refused("BadValue", /proxy-config="envoy.yaml"/, { ...module, "proxy-config": "envoy.yaml" });
      for (const value of ["", ",", "a b", "http\nhttps", "x".repeat(513), "a,".repeat(65)]) {
        refused("BadValue", /proxy-listeners=.*up to 64/, { ...module, "proxy-listeners": value });
      }
    });
    it("a long value, shortened in the message", () => {
      refused("BadValue", /^.{0,200}$/, { ...module, "phase.auth": "x".repeat(10_000) });
    });
  });
});
