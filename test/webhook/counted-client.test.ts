import assert from "node:assert/strict";
import { createMetrics } from "../../src/observe/metrics.ts";
import { RegistryError } from "../../src/oci/error.ts";
import { DEFAULT_LIMITS } from "../../src/oci/limits.ts";
import { OCI_MANIFEST } from "../../src/oci/media-types.ts";
import { parseReference } from "../../src/oci/reference.ts";
import { counted } from "../../src/webhook/counted-client.ts";
import { digest } from "../admission/pods.ts";

describe("questions to registries", () => {
  it("are counted by how they ended, and timed", async () => {
    const metrics = createMetrics();
    const never = () => assert.fail("only tags are asked for");
    const registry = { limits: DEFAULT_LIMITS, manifest: never, blob: never, referrers: never, close: () => {} };
    let clock = 0;
    let ending: () => { digest: string; size: number; mediaType: string };
    const resolve = async () => {
      clock += 250;
      return ending();
    };
    const told = (outcome: Parameters<typeof metrics.resolved>[0], seconds: number) =>
      metrics.resolved(outcome, seconds);
    const client = counted({ ...registry, resolve }, told, () => clock);
    const reference = parseReference("registry.example/filter:1");
    ending = () => ({ digest: digest("a"), size: 2, mediaType: OCI_MANIFEST });
    assert.equal((await client.resolve(reference)).digest, digest("a"));
    for (const error of [new RegistryError("NotFound", "it is not there"), new Error("a mistake of ours")]) {
      ending = () => {
        throw error;
      };
      await assert.rejects(client.resolve(reference), error);
    }
    const { text } = await metrics.expose();
    for (const outcome of ["Resolved", "NotFound", "Failed"]) {
      assert.match(text, new RegExp(`^wasmount_registry_resolutions_total\\{outcome="${outcome}"\\} 1$`, "m"));
    }
    assert.match(text, /^wasmount_registry_resolution_duration_seconds_bucket\{le="0.25"\} 3$/m);
    assert.match(text, /^wasmount_registry_resolution_duration_seconds_bucket\{le="0.1"\} 0$/m);
  });
});
