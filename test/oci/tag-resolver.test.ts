import assert from "node:assert/strict";
import type { Descriptor } from "../../src/oci/descriptor.ts";
import { RegistryError } from "../../src/oci/error.ts";
import { parseReference, type Reference } from "../../src/oci/reference.ts";
import { TagResolver } from "../../src/oci/tag-resolver.ts";

const reference = parseReference("registry.example/filters/a:1");
const digest = `sha256:${"a".repeat(64)}`;
const descriptor: Descriptor = { mediaType: "application/vnd.oci.image.manifest.v1+json", digest, size: 1 };

/** A client that notes what it is asked and answers as a test says. */
function client(answer: (signal: AbortSignal) => Promise<Descriptor>) {
  const asked: string[] = [];
  return {
    asked,
    resolve: (wanted: Reference, signal?: AbortSignal) => {
      asked.push(wanted.tag ?? "");
      return answer(signal ?? AbortSignal.abort());
    },
  };
}

describe("tag resolver", () => {
  it("asks once for pods that arrive together", async () => {
    const registry = client(async () => descriptor);
    const resolver = new TagResolver(registry, { budgetMs: 1_000 });
    const answers = await Promise.all([1, 2, 3].map(() => resolver.resolve(reference)));
    assert.deepEqual(answers, [{ digest }, { digest }, { digest }]);
    assert.equal(registry.asked.length, 1);
  });

  it("asks again for a pod that comes later: the tag may have moved", async () => {
    const registry = client(async () => descriptor);
    const resolver = new TagResolver(registry, { budgetMs: 1_000 });
    await resolver.resolve(reference);
    await resolver.resolve(reference);
    assert.equal(registry.asked.length, 2);
  });

  it("remembers no failure", async () => {
    let fails = true;
    const registry = client(async () => {
      if (fails) throw new RegistryError("NotFound", "there is no such tag");
      return descriptor;
    });
    const resolver = new TagResolver(registry, { budgetMs: 1_000 });
    const answer = await resolver.resolve(reference);
    assert.deepEqual(answer, { problem: "there is no such tag", cause: "NotFound: there is no such tag" });
    fails = false;
    assert.deepEqual(await resolver.resolve(reference), { digest });
  });

  it("gives the client no longer than its budget", async () => {
    const registry = client(
      signal =>
        new Promise((_resolve, reject) => {
          signal.addEventListener("abort", () => reject(new RegistryError("Timeout", "it took too long")));
        }),
    );
    const answer = await new TagResolver(registry, { budgetMs: 20 }).resolve(reference);
    assert.ok("cause" in answer);
    assert.equal(answer.cause, "Timeout: it took too long");
  });

  it("does not tell a pod's author what answers inside the operator's network", async () => {
    const problem = async (error: RegistryError) => {
      const registry = client(async () => {
        throw error;
      });
      const answer = await new TagResolver(registry, { budgetMs: 1_000 }).resolve(reference);
      return "problem" in answer ? answer.problem : assert.fail();
    };
    const refused = await problem(new RegistryError("Unreachable", "ECONNREFUSED"));
    assert.equal(await problem(new RegistryError("BadResponse", "that is no registry")), refused);
    assert.equal(await problem(new RegistryError("Timeout", "no answer")), refused);
    assert.ok(!refused.includes("ECONNREFUSED"));
  });

  it("tells nobody apart what is denied, absent or unreadable where others' credentials asked", async () => {
    const codes = ["NotFound", "Unauthorized", "Denied", "RateLimited", "BadManifest", "Unreachable"] as const;
    const answers = codes.map(async code => {
      const registry = client(async () => {
        throw new RegistryError(code, `it is ${code}`);
      });
      const options = { budgetMs: 1_000, isConfidential: ({ repository }: Reference) => repository === "filters/a" };
      const answer = await new TagResolver(registry, options).resolve(reference);
      assert.ok("cause" in answer);
      assert.equal(answer.cause, `${code}: it is ${code}`);
      return answer.problem;
    });
    const problems = new Set(await Promise.all(answers));
    assert.deepEqual(
      [...problems],
      ["registry.example/filters/a:1 does not exist, or can't be read; the webhook's log says why"],
    );
  });

  it("does not take a fault of its own for an answer", async () => {
    const registry = client(async () => {
      throw new TypeError("a bug");
    });
    await assert.rejects(new TagResolver(registry, { budgetMs: 1_000 }).resolve(reference), TypeError);
  });
});
