import assert from "node:assert/strict";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parse } from "yaml";
import { binaryOf } from "../environment/cluster/binaries.ts";
import { attempt } from "../environment/cluster/command.ts";
import { findGo } from "../environment/cluster/go.ts";
import { type Registry, startRegistry } from "../environment/registry/registry.ts";
import { unavailable } from "../environment/requirement.ts";

/** Everything that the suite can ask for and doesn't by itself. */
const OPTIONAL = {
  OCI_API_BLOBS_DIGEST_HEADER: "true",
  OCI_API_BLOBS_UPLOAD_CANCEL: "true",
  OCI_API_MANIFESTS_DIGEST_HEADER: "true",
  OCI_API_MANIFESTS_TAG_PARAM: "true",
  OCI_DATA_SPARSE: "true",
};

/** The suite's results.yaml, as far as it is read here: the verdict on each part of the interface and kind of content. */
interface Results {
  readonly apis: Readonly<Record<string, string>>;
  readonly data: Readonly<Record<string, string>>;
}

/** How many verdicts each has, so that none goes missing unseen. */
const VERDICTS = { apis: 28, data: 24 };

describe("the registry of demo and tests, held to the specification by its own suite", function () {
  this.timeout(10 * 60_000);
  let folder: string;
  let registry: Registry;

  before(async function () {
    const problem = await findGo().then(
      () => null,
      (error: Error) => error.message,
    );
    if (problem !== null) unavailable(this, problem);
    folder = await mkdtemp(join(tmpdir(), "wasmount-conformance-"));
    registry = await startRegistry({ habits: { sparse: true } });
  });

  after(async () => {
    await registry?.close();
    if (folder) await rm(folder, { recursive: true, force: true });
  });

  async function judged(): Promise<Results & { readonly status: number | string }> {
    const binary = await binaryOf("conformance", line => console.log(`      ${line}`));
    const env = { OCI_REGISTRY: registry.address, OCI_TLS: "disabled", OCI_VERSION: "1.1", OCI_RESULTS_DIR: folder };
    const { status, stdout } = await attempt(binary, [], { cwd: folder, env: { ...env, ...OPTIONAL } });
    const results = await readFile(join(folder, "results.yaml"), "utf8").catch(() => assert.fail(stdout));
    return { status, ...(parse(results) as Results) };
  }

  it("passes all of it: pull, push, discovery and deletion, and nothing was left out", async () => {
    const { status, apis, data } = await judged();
    for (const [what, verdict] of Object.entries({ ...apis, ...data })) assert.equal(verdict, "Pass", what);
    assert.deepEqual([Object.keys(apis).length, Object.keys(data).length], [VERDICTS.apis, VERDICTS.data]);
    assert.equal(status, 0);
  });
});
