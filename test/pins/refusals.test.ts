import assert from "node:assert/strict";
import { KubeError } from "../../src/kube/error.ts";
import { parseReference } from "../../src/oci/reference.ts";
import type { ResolvedTag } from "../../src/oci/tag-resolver.ts";
import { PIN_ANNOTATIONS, pinKey } from "../../src/pins/record.ts";
import type { ConfigMap, MemoryApiServer } from "./memory-api-server.ts";
import { A, B, HOUR, NAME, pod, problemOf, Registry, Replicas, record, reference, START } from "./replicas.ts";

describe("pinned tags that can't be had", function () {
  this.timeout(60_000);
  let replicas: Replicas;
  let api: MemoryApiServer;

  beforeEach(() => {
    replicas = new Replicas();
    ({ api } = replicas);
  });

  describe("where the API server can't be used", () => {
    for (const [what, method] of [
      ["reading", "GET"],
      ["writing", "POST"],
    ] as const) {
      for (const code of ["Unreachable", "Refused", "TooManyRequests", "Malformed", "TooLarge"] as const) {
        it(`are a problem: ${code} when ${what}`, async () => {
          api.disturb = call => {
            if (call.startsWith(`${method} `)) throw new KubeError(code, "secret detail");
          };
          const registry = new Registry();
          const pins = replicas.start(registry);
          const { problem, cause } = problemOf(await pins.resolve(reference, pod));
          assert.match(problem, /^can't read the pins/);
          assert.doesNotMatch(problem, /secret detail/);
          assert.ok(
            cause.startsWith(`${code}: secret detail; ConfigMap ${record} in namespace wasmount-system`),
            cause,
          );
          if (method === "GET") assert.deepEqual(registry.asked, []);
          api.disturb = () => {};
          registry.answer = () => B;
          assert.deepEqual(await pins.resolve(reference, pod), B, "nothing of it was remembered");
        });
      }
    }

    it("are a problem where the operator's namespace is missing", async () => {
      api.disturb = call => {
        if (call.startsWith("POST ")) throw new KubeError("NotFound", "HTTP 404");
      };
      assert.match(
        problemOf(await replicas.start(new Registry()).resolve(reference, pod)).cause,
        /^NotFound: HTTP 404/,
      );
      assert.equal(api.writes.length, 1);
    });
  });

  it("give up a record that others change each time", async () => {
    api.disturb = call => {
      if (!call.startsWith("GET ")) throw new KubeError("Conflict", "HTTP 409");
    };
    const { problem } = problemOf(await replicas.start(new Registry(), { attempts: 5 }).resolve(reference, pod));
    assert.match(problem, new RegExp(`^ConfigMap ${record} .* changed by others 5 times`));
    assert.equal(api.writes.length, 5);
  });

  describe("within their time", () => {
    const never = (signal: AbortSignal) =>
      new Promise<void>((_, reject) =>
        signal.addEventListener("abort", () => reject(new KubeError("Unreachable", "x"))),
      );

    it("wait for no registry", async () => {
      const registry = new Registry();
      const { promise: late, resolve: answer } = Promise.withResolvers<ResolvedTag>();
      registry.answer = () => late;
      const { problem, cause } = problemOf(await replicas.start(registry, { deadlineMs: 20 }).resolve(reference, pod));
      assert.equal(problem, `no digest of ${NAME} was resolved and pinned within 20 ms`);
      assert.match(cause, /^Deadline: /);
      answer(A);
      await new Promise(setImmediate);
      assert.equal(api.objects.size, 0, "what comes too late is not pinned");
    });

    for (const method of ["GET", "POST"]) {
      it(`wait for no API server that doesn't answer ${method}`, async () => {
        api.disturb = (call, signal) => (call.startsWith(`${method} `) ? never(signal) : undefined);
        const { cause } = problemOf(await replicas.start(new Registry(), { deadlineMs: 20 }).resolve(reference, pod));
        assert.match(cause, /^Deadline: /);
      });
    }
  });

  describe("are refused whole where the record", () => {
    const key = pinKey(NAME);
    const other = "registry.example/filters/b:1";
    const pin = { reference: NAME, digest: A.digest, pinned: new Date(START).toISOString() };
    const cases: readonly (readonly [what: string, spoil: (stored: ConfigMap) => void, code: string])[] = [
      ["holds no JSON", stored => Object.assign(stored.data, { [key]: "{" }), "Corrupt"],
      ["holds no object", stored => Object.assign(stored.data, { [key]: "[]" }), "Corrupt"],
      ["holds a digest that is none", stored => setPin(stored, { ...pin, digest: "sha256:a" }), "Corrupt"],
      ["holds a digest of another algorithm", stored => setPin(stored, { ...pin, digest: "md5:1" }), "Corrupt"],
      ["holds another reference's pin", stored => setPin(stored, { ...pin, reference: other }), "Corrupt"],
      ["holds a pin without its time", stored => setPin(stored, { ...pin, pinned: "once" }), "Corrupt"],
      ["holds a pin of a megabyte", stored => setPin(stored, { ...pin, note: "x".repeat(2_000) }), "Corrupt"],
      ["is corrupt in another pin", stored => Object.assign(stored.data, { [pinKey(other)]: "?" }), "Corrupt"],
      ["has too many pins", stored => Object.assign(stored.data, pinsOf(64)), "Corrupt"],
      ["has no data but a text", stored => Object.assign(stored, { data: "x" }), "Corrupt"],
      ["has no time of use", stored => annotate(stored, PIN_ANNOTATIONS.used, "yesterday"), "Corrupt"],
      ["is another owner's", stored => annotate(stored, PIN_ANNOTATIONS.owner, "u2"), "Foreign"],
      ["is another namespace's", stored => label(stored, "wasmount.dev/pins-namespace", "other"), "Foreign"],
      ["is not marked as one", stored => label(stored, "wasmount.dev/pins", "false"), "Foreign"],
      ["has no metadata", stored => Object.assign(stored.metadata, { labels: null, annotations: null }), "Foreign"],
      ["is larger than any record", stored => annotate(stored, "x", "x".repeat(300_000)), "TooLarge"],
    ];

    const setPin = (stored: ConfigMap, value: object) => Object.assign(stored.data, { [key]: JSON.stringify(value) });
    const annotate = (stored: ConfigMap, name: string, value: string) =>
      Object.assign(stored.metadata.annotations, { [name]: value });
    const label = (stored: ConfigMap, name: string, value: string) =>
      Object.assign(stored.metadata.labels, { [name]: value });
    const pinsOf = (count: number) =>
      Object.fromEntries(
        Array.from({ length: count }, (_, index) => `registry.example/c:${index}`).map(name => [
          pinKey(name),
          JSON.stringify({ ...pin, reference: name }),
        ]),
      );

    for (const [what, spoil, code] of cases) {
      it(what, async () => {
        await replicas.start(new Registry()).resolve(reference, pod);
        const stored = api.existing(record);
        spoil(stored);
        api.put(stored);
        const writes = api.writes.length;
        const registry = new Registry(B);
        const { problem, cause } = problemOf(await replicas.start(registry).resolve(reference, pod));
        assert.ok(cause.startsWith(`${code}: `), cause);
        assert.match(`${problem} ${cause}`, new RegExp(`ConfigMap ${record} in namespace wasmount-system`));
        assert.deepEqual([registry.asked.length, api.writes.length - writes], [0, 0]);
      });
    }
  });

  it("are 64 for one owner at most, and those stay usable", async () => {
    const registry = new Registry();
    const pins = replicas.start(registry);
    for (let index = 0; index < 64; index += 1) await pins.resolve(parseReference(`registry.example/a:${index}`), pod);
    for (const dryRun of [false, true]) {
      const { problem } = problemOf(await pins.resolve(reference, { ...pod, dryRun }));
      assert.match(problem, /owner u1 in namespace shop have 64 pinned tags, and may have no more: write digests/);
    }
    assert.equal(registry.asked.length, 64);
    assert.deepEqual(await replicas.start(new Registry(B)).resolve(parseReference("registry.example/a:63"), pod), A);
    assert.deepEqual(await pins.resolve(reference, { ...pod, owner: "u2" }), A);
    const { data } = api.existing(record);
    replicas.now += HOUR;
    assert.deepEqual(await replicas.start(new Registry(B)).resolve(parseReference("registry.example/a:0"), pod), A);
    assert.deepEqual(api.existing(record).data, data);
  });

  it("are kept for so many owners of a namespace, and for other namespaces all the same", async () => {
    const pins = replicas.start(new Registry(), {}, 2);
    const owners = Array.from({ length: 1_000 }, (_, index) => `made-up-${index}`);
    const answers = await Promise.all(owners.map(owner => pins.resolve(reference, { ...pod, owner })));
    const refused = answers.filter(answer => "problem" in answer);
    assert.equal(api.objects.size, 1_000 - refused.length);
    assert.ok(api.objects.size <= 2 * 256, String(api.objects.size));
    assert.match(
      problemOf(refused[0] as ResolvedTag).problem,
      /pods of namespace shop have too many controlling owners/,
    );
    const served = answers.findIndex(answer => "digest" in answer);
    const again = replicas.start(new Registry(B), {}, 2);
    assert.deepEqual(await again.resolve(reference, { ...pod, owner: owners[served] ?? "" }), A);
    assert.deepEqual(await again.resolve(reference, { ...pod, namespace: "other" }), B);
  });
});
