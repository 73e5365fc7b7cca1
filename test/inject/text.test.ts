import assert from "node:assert/strict";
import { diffLines } from "diff";
import type { Pod } from "../../src/kube/pod.ts";
import { deployment, documents, inject, template } from "./injecting.ts";

/** The lines that injection took away. */
function removed(before: string, after: string): string[] {
  return diffLines(before, after)
    .filter(part => part.removed)
    .flatMap(part => part.value.trimEnd().split(/\r?\n/));
}

const untouched: readonly [title: string, text: string][] = [
  ["nothing", ""],
  ["white space and comments", "# only\n\n   # this\n"],
  ["a comment without a line end", "# only"],
  [
    "odd spacing, quotes and comments",
    "kind:   ConfigMap   # why\ndata: {a: 'b',\n  \"c\":   d}  # end\n\n\n# trailing\n",
  ],
  ["block texts", "a: |+\n  text\n\n\nb: >-\n   folded\n   text\n"],
  ["several documents", "---\n# first\na: 1\n---\n\nb: 2\n...\n# between\n---\nc: 3\n...\n"],
  ["empty documents", "---\n---\n# nothing\n---\n"],
  ["directives", "%YAML 1.2\n---\na: 1\n...\n%TAG ! tag:example,2000:\n---\nb: !x 2\n"],
  ["line ends of Windows", "a: 1\r\nb:\r\n  - c # d\r\n---\r\ne: |\r\n  f\r\n"],
  ["mixed line ends", "a: 1\r\nb: 2\n"],
  ["a byte order mark", "\ufeffa: 1\n"],
  ["no line end at the end", "a: 1"],
  ["anchors, aliases and merge keys", "a: &a {b: 1}\nc: *a\nd: {<<: *a, e: 2}\n"],
  ["tags", "a: !!str 1\nb: !Ref x\n"],
  ["JSON", '{"kind":"X",\n\t"a" : [1.0, 1e3, 12345678901234567890, "\\u00e9\\/"] }\n\n'],
  ["a JSON array", "[1, 2]\n"],
  ["a scalar", "hello\n"],
  ["a pod that is not switched on", "apiVersion: v1\nkind: Pod # p\nmetadata: {name:   p}\nspec: {containers: [ ]}\n"],
];

describe("the text of manifests", () => {
  for (const [title, text] of untouched) {
    it(`is left byte for byte as it came: ${title}`, async () => {
      assert.deepEqual(await inject(text), { text, messages: [], denied: false });
    });
  }

  it("keeps every line but those that change, comments included", async () => {
    const head = "# head\nkind: ConfigMap   # odd\nmetadata: {name:  x}\n--- # next\n# the front\n";
    const tail = "...\n# between\n---\nkind: Service\n# the end";
    const before = head + deployment() + tail;
    const { text } = await inject(before);
    assert.deepEqual(removed(before, text), ["          args: [-c, /etc/envoy/envoy.yaml]   # its configuration"]);
    assert.ok(text.startsWith(head) && text.endsWith(tail));
    assert.match(text, /args: \[-c, \/wasmount\/bootstrap\/etc\/envoy\/envoy\.yaml\] {3}# its configuration\n/);
  });

  it("adds lines with the line end of the file", async () => {
    const { text } = await inject(deployment().replaceAll("\n", "\r\n"));
    assert.match(text, /wasmount-fetch\r\n/);
    assert.doesNotMatch(text, /[^\r]\n/);
  });

  it("indents lists as the file does", async () => {
    const flush = deployment()
      .replace(/^ {8}(- name: config\n) {10}/m, "      $1        ")
      .replace(/^ {8}( *[-#].*| {2}.*)$/gm, line =>
        line.includes("- ") || line.startsWith("          ") ? line.slice(2) : line,
      );
    const { text } = await inject(flush);
    assert.match(text, /\n {6}initContainers:\n {6}- name: wasmount-fetch\n/);
    assert.match((await inject(deployment())).text, /\n {6}initContainers:\n {8}- name: wasmount-fetch\n/);
  });

  /** The places that injection changes, written in other ways: what becomes of them is checked by reading it back. */
  const styles: readonly [title: string, change: (text: string) => string, expected: RegExp][] = [
    [
      "args as lines with comments",
      text =>
        text.replace(
          /args: .*/,
          "args:\n            - -c # flag\n            # where\n            - /etc/envoy/envoy.yaml # path",
        ),
      /- -c # flag\n +# where\n +- \/wasmount\/bootstrap\/etc\/envoy\/envoy\.yaml # path\n/,
    ],
    [
      "empty initContainers",
      text => text.replace("      volumes:", "      initContainers: []\n      volumes:"),
      /initContainers:\n {8}- name: wasmount-fetch/,
    ],
    [
      "null initContainers",
      text => text.replace("      volumes:", "      initContainers: # none\n      volumes:"),
      /initContainers: # none\n {8}- name: wasmount-fetch/,
    ],
    [
      "tilde for null",
      text => text.replace("      volumes:", "      initContainers: ~ # none\n      volumes:"),
      /initContainers:\n {8}- name: wasmount-fetch[\s\S]*# none/,
    ],
    [
      "an init container with a comment above",
      text =>
        text.replace("      volumes:", "      initContainers:\n        # wait\n        - name: wait\n      volumes:"),
      /initContainers:\n {8}- name: wasmount-fetch\n[\s\S]* {8}# wait\n {8}- name: wait\n/,
    ],
    [
      "labels in braces",
      text =>
        text.replace(
          /labels: # the labels\n[\s\S]*# nothing below\n/,
          'labels: {app: web, "wasmount.dev/inject": "true" } # x\n',
        ),
      /labels: \{app: web, "wasmount\.dev\/inject": "true", wasmount\.dev\/injected: "true",/,
    ],
    [
      "a list in brackets over lines",
      text => text.replace(/volumeMounts:\n *(-) (.*)/, "volumeMounts: [\n            $2,\n          ]"),
      /mountPath: \/etc\/envoy, readOnly: true\},\n {12}\{\n/,
    ],
    ["no line end at the end", text => text.trimEnd(), /\n {6}volumes:\n[\s\S]*- name: wasmount\n/],
    [
      "a block text last",
      text => `${text}      hostname: |+\n        x\n\n`,
      /hostname: \|\+\n {8}x\n\n {6}initContainers:\n/,
    ],
    [
      "an anchor on the labels that metadata uses before",
      text =>
        text
          .replace(
            "  namespace: shop\n",
            '  namespace: shop\n  labels: &labels\n    app: web # of all\n    wasmount.dev/inject: "true"\n',
          )
          .replace(/labels: # the labels\n[\s\S]*# nothing below/, "labels: *labels # the same"),
      /labels: &labels\n {4}app: web # of all\n/,
    ],
    [
      "a merge key",
      text =>
        text
          .replace(/^spec:/m, "x-args: &proxy\n  args: [-c, /etc/envoy/envoy.yaml]\nspec:")
          .replace(/ {10}args: .*/, "          <<: *proxy # merged"),
      /<<: \*proxy # merged\n/,
    ],
  ];
  for (const [title, change, expected] of styles) {
    it(`is changed in the style it has: ${title}`, async () => {
      const { text: plain } = await inject(deployment());
      const changed = change(deployment());
      assert.notEqual(changed, deployment());
      const { text, messages } = await inject(changed);
      assert.match(text, expected);
      assert.deepEqual(messages, []);
      const [ours, expectedOurs] = [text, plain].map(injected => {
        const [{ spec }] = documents(injected) as [{ spec: { template: { spec: Pod["spec"] } } }];
        const { volumes, initContainers } = spec.template.spec;
        return { volumes, fetcher: initContainers?.[0] };
      });
      assert.deepEqual(ours, expectedOurs);
      assert.equal((await inject(text)).text, text, "its own output");
    });
  }

  it("writes out what aliases name whose anchor stands on what changes", async () => {
    const before = deployment()
      .replace("labels: # the labels", "labels: &labels # the labels")
      .replace(/^ {4}spec:/m, "    spec:\n      nodeSelector: *labels # as labelled");
    const { text, messages } = await inject(before);
    assert.deepEqual(messages, []);
    assert.match(text, /nodeSelector: \{ "app": "web", "wasmount\.dev\/inject": "true" \} # as labelled\n/);
    assert.match(text, /labels: &labels # the labels\n/);
  });

  it("writes a document anew, and says so, where its text can't be changed to the result", async () => {
    const tagged = deployment().replace("      volumes:", "      initContainers: !!null # none\n      volumes:");
    const before = `# kept\nkind: X\n---\n${tagged}`;
    const { text, messages } = await inject(before);
    assert.match(messages.join(), /^Warning: standard input, document 2 was written anew, without its comments/);
    assert.ok(text.startsWith("# kept\nkind: X\n---\n"));
    assert.doesNotMatch(text, /# the app/);
    assert.deepEqual(documents(text)[1], documents((await inject(deployment())).text)[0]);
    assert.equal((await inject(text)).text, text);
  });

  it("writes JSON into JSON, in its own indentation", async () => {
    const pod = { apiVersion: "v1", kind: "Pod", ...template() };
    for (const indent of [0, 2, 4, "\t"]) {
      const before = JSON.stringify(pod, null, indent);
      const { text } = await inject(before);
      const after = JSON.parse(text);
      assert.equal(after.spec.initContainers[0].name, "wasmount-fetch");
      if (indent !== 0) assert.equal(text, JSON.stringify(after, null, indent));
    }
  });
});
