import assert from "node:assert/strict";
import { KubeError } from "../../src/kube/error.ts";
import { ownerIdOf } from "../../src/kube/owner-id.ts";
import { parseReference, type Reference } from "../../src/oci/reference.ts";
import { PIN_ANNOTATIONS, recordName } from "../../src/pins/record.ts";
import { COLLECTION, type MemoryApiServer } from "./memory-api-server.ts";
import { A, B, HOUR, pod, problemOf, Registry, Replicas, record, reference } from "./replicas.ts";

describe("pinned tags", function () {
  this.timeout(60_000);
  let replicas: Replicas;
  let api: MemoryApiServer;

  beforeEach(() => {
    replicas = new Replicas();
    ({ api } = replicas);
  });

  it("stay what they were when the tag moves, also for a replica that has just started", async () => {
    const registry = new Registry();
    const first = replicas.start(registry);
    assert.deepEqual(await first.resolve(reference, pod), A);
    registry.answer = () => B;
    assert.deepEqual(await first.resolve(reference, pod), A);
    assert.deepEqual(await replicas.start(registry).resolve(reference, pod), A);
    assert.equal(registry.asked.length, 1);
  });

  it("are one digest for two replicas that resolve at once, to different ones", async () => {
    const registries = [new Registry(A), new Registry(B)];
    // Neither writes before both have resolved.
    const { promise: both, resolve: go } = Promise.withResolvers<void>();
    for (const registry of registries) {
      const answer = registry.answer;
      registry.answer = async asked => {
        if (registries.every(({ asked }) => asked.length > 0)) go();
        await both;
        return answer(asked);
      };
    }
    const answers = await Promise.all(registries.map(registry => replicas.start(registry).resolve(reference, pod)));
    assert.deepEqual(answers[0], answers[1]);
    assert.deepEqual(await replicas.start(new Registry()).resolve(reference, pod), answers[0]);
  });

  it("are one digest where another replica's write comes between reading and writing", async () => {
    const slow = replicas.start(new Registry(A));
    let raced = false;
    api.disturb = async call => {
      if (raced || !call.startsWith("POST ")) return;
      raced = true;
      await replicas.start(new Registry(B)).resolve(reference, pod);
    };
    assert.deepEqual(await slow.resolve(reference, pod), B);
    assert.deepEqual(await slow.resolve(reference, pod), B);
  });

  it("are what another replica pinned meanwhile, also where its clock is behind", async () => {
    let raced = false;
    api.disturb = async call => {
      if (raced || !call.startsWith("POST ")) return;
      raced = true;
      const behind = new Replicas(api);
      behind.now -= HOUR;
      await behind.start(new Registry(B)).resolve(reference, pod);
    };
    assert.deepEqual(await replicas.start(new Registry(A)).resolve(reference, pod), B);
    assert.deepEqual(await replicas.start(new Registry(A)).resolve(reference, pod), B);
  });

  it("are all kept where replicas pin different tags of one owner at once", async () => {
    const [one, two, three] = ["1", "2", "3"].map(tag => parseReference(`registry.example/a:${tag}`)) as [
      Reference,
      Reference,
      Reference,
    ];
    await replicas.start(new Registry(A)).resolve(one, pod);
    let raced = false;
    api.disturb = async call => {
      if (raced || !call.startsWith("PUT ")) return;
      raced = true;
      await replicas.start(new Registry(A)).resolve(two, pod);
    };
    await replicas.start(new Registry(A)).resolve(three, pod);
    for (const each of [one, two, three]) {
      assert.deepEqual(await replicas.start(new Registry(B)).resolve(each, pod), A);
    }
  });

  it("are another owner's own, and another namespace's own", async () => {
    const registry = new Registry();
    const pins = replicas.start(registry);
    await pins.resolve(reference, pod);
    registry.answer = () => B;
    assert.deepEqual(await pins.resolve(reference, { ...pod, owner: "u2" }), B);
    assert.deepEqual(await pins.resolve(reference, { ...pod, namespace: "other" }), B);
    assert.deepEqual(await pins.resolve(reference, pod), A);
  });

  it("are each reference's own; no tag is the tag latest", async () => {
    const registry = new Registry();
    const pins = replicas.start(registry);
    await pins.resolve(parseReference("registry.example/filters/a"), pod);
    registry.answer = () => B;
    assert.deepEqual(await pins.resolve(reference, pod), B);
    assert.deepEqual(await pins.resolve(parseReference("registry.example/filters/a:latest"), pod), A);
  });

  it("are neither read nor set for a pod without owner and for a reference with a digest", async () => {
    const registry = new Registry();
    const pins = replicas.start(registry);
    assert.deepEqual(await pins.resolve(reference, { ...pod, owner: "" }), A);
    registry.answer = () => B;
    assert.deepEqual(await pins.resolve(reference, { ...pod, owner: "" }), B);
    assert.deepEqual(await pins.resolve(parseReference(`registry.example/a:1@${A.digest}`), pod), A);
    assert.deepEqual(api.calls, []);
    assert.equal(registry.asked.length, 2);
  });

  describe("on a dry run", () => {
    const dry = { ...pod, dryRun: true };

    it("are read, and neither set nor remembered", async () => {
      const registry = new Registry();
      const pins = replicas.start(registry);
      assert.deepEqual(await pins.resolve(reference, dry), A);
      registry.answer = () => B;
      assert.deepEqual(await pins.resolve(reference, dry), B);
      assert.deepEqual(api.writes, []);
      assert.deepEqual(await pins.resolve(reference, pod), B);
      registry.answer = () => A;
      assert.deepEqual(await replicas.start(registry).resolve(reference, dry), B);
    });

    it("are not touched, however old", async () => {
      await replicas.start(new Registry()).resolve(reference, pod);
      replicas.now += HOUR;
      const writes = api.writes.length;
      assert.deepEqual(await replicas.start(new Registry(B)).resolve(reference, dry), A);
      assert.equal(api.writes.length, writes);
    });

    it("make no pod wait for an answer that pins nothing", async () => {
      const registry = new Registry();
      const pins = replicas.start(registry);
      const answers = await Promise.all([pins.resolve(reference, dry), pins.resolve(reference, pod)]);
      assert.deepEqual(answers, [A, A]);
      assert.equal(api.objects.size, 1);
    });
  });

  it("are asked for in the name of the pod's namespace, and what one was told is nobody else's", async () => {
    const registry = new Registry();
    registry.answer = () => (registry.namespaces.at(-1) === "shop" ? A : { problem: "no", cause: "no" });
    const pins = replicas.start(registry);
    for (const owner of ["u1", ""]) {
      assert.deepEqual(await pins.resolve(reference, { ...pod, owner }), A);
      assert.deepEqual(await pins.resolve(reference, { ...pod, owner, namespace: "till" }), {
        problem: "no",
        cause: "no",
      });
    }
    assert.deepEqual(registry.namespaces, ["shop", "till", "shop", "till"]);
  });

  it("are asked for once by pods that arrive together", async () => {
    const registry = new Registry();
    const pins = replicas.start(registry);
    await Promise.all(Array.from({ length: 50 }, () => pins.resolve(reference, pod)));
    assert.equal(registry.asked.length, 1);
    assert.equal(api.writes.length, 1);
  });

  it("are set one after the other for the filters of one pod, without conflicts", async () => {
    const pins = replicas.start(new Registry());
    const references = Array.from({ length: 32 }, (_, index) => parseReference(`registry.example/a:${index}`));
    const answers = await Promise.all(references.map(each => pins.resolve(each, pod)));
    assert.deepEqual(
      answers,
      answers.map(() => A),
    );
    assert.equal(api.writes.length, 32);
    assert.equal(Object.keys(api.existing(record).data).length, 32);
  });

  it("are not set by a failed resolution", async () => {
    const registry = new Registry({ problem: "there is no such tag", cause: "NotFound" });
    const pins = replicas.start(registry);
    assert.deepEqual(await pins.resolve(reference, pod), { problem: "there is no such tag", cause: "NotFound" });
    assert.deepEqual(api.writes, []);
    registry.answer = () => A;
    assert.deepEqual(await pins.resolve(reference, pod), A);
  });

  it("let what is no answer of a registry through", async () => {
    const registry = new Registry();
    registry.answer = () => Promise.reject(new TypeError("a bug"));
    await assert.rejects(replicas.start(registry).resolve(reference, pod), TypeError);
  });

  it("are held for a minute, and read again then", async () => {
    const registry = new Registry();
    const pins = replicas.start(registry);
    await pins.resolve(reference, pod);
    const calls = api.calls.length;
    replicas.now += 59_000;
    await pins.resolve(reference, pod);
    assert.equal(api.calls.length, calls);
    replicas.now += 2_000;
    await pins.resolve(reference, pod);
    assert.deepEqual(api.calls.slice(calls), [`GET ${COLLECTION}/${record}`]);
  });

  it("are held for so many owners and no more", async () => {
    const pins = replicas.start(new Registry(), { held: 2 });
    for (const owner of ["u1", "u2", "u3"]) await pins.resolve(reference, { ...pod, owner });
    const calls = api.calls.length;
    await pins.resolve(reference, { ...pod, owner: "u3" });
    assert.equal(api.calls.length, calls);
    await pins.resolve(reference, pod);
    assert.equal(api.calls.length, calls + 1);
  });

  it("tell their record that it was used, at most every ten minutes, and before they give a digest", async () => {
    await replicas.start(new Registry()).resolve(reference, pod);
    replicas.now += 590_000;
    await replicas.start(new Registry()).resolve(reference, pod);
    assert.equal(api.writes.length, 1);
    replicas.now += 20_000;
    assert.deepEqual(await replicas.start(new Registry(B)).resolve(reference, pod), A);
    assert.equal(api.existing(record).metadata.annotations[PIN_ANNOTATIONS.used], new Date(replicas.now).toISOString());
    api.disturb = call => {
      if (call.startsWith("PUT ")) throw new KubeError("Refused", "HTTP 500");
    };
    replicas.now += HOUR;
    assert.match(problemOf(await replicas.start(new Registry()).resolve(reference, pod)).cause, /Refused: HTTP 500/);
  });

  it("are set anew where their record is collected while they are being used", async () => {
    await replicas.start(new Registry()).resolve(reference, pod);
    replicas.now += 2 * HOUR;
    api.disturb = call => {
      if (call.startsWith("PUT ")) api.objects.delete(record);
    };
    assert.deepEqual(await replicas.start(new Registry(B)).resolve(reference, pod), A);
    assert.equal(Object.keys(api.existing(record).data).length, 1);
  });

  it("take any text for an owner", async () => {
    const pins = replicas.start(new Registry());
    for (const owner of ["../../secrets/x", "a\nb", "ü", "x".repeat(1_000_000), "?dryRun=All", "\u0000"]) {
      assert.deepEqual(await pins.resolve(reference, { ...pod, owner }), A);
      const { metadata } = api.existing(recordName({ namespace: "shop", id: ownerIdOf(owner) }));
      assert.match(metadata.name, /^wasmount-pins-[a-f0-9]{32}$/);
      assert.match(metadata.annotations[PIN_ANNOTATIONS.owner] ?? "", /^[!-~]{1,128}$/);
    }
    assert.equal(api.objects.size, 6);
  });
});
