import assert from "node:assert/strict";
import { digestOf } from "../../src/oci/digest.ts";
import { moduleImage } from "../../src/oci/module-image.ts";
import { pushModule } from "../../src/oci/push-module.ts";
import { parseReference } from "../../src/oci/reference.ts";
import { MODULE } from "./images.ts";
import { coded } from "./scripted-server.ts";

describe("pushModule", () => {
  function recorder() {
    const calls: string[] = [];
    return {
      calls,
      pushBlob: async (_registry: string, _repository: string, { digest }: { readonly digest: string }) => {
        calls.push(digest);
      },
      pushManifest: async (
        _registry: string,
        _repository: string,
        name: string,
        { bytes }: { readonly bytes: Buffer },
      ) => {
        calls.push(name);
        return { mediaType: "", digest: digestOf(bytes), size: bytes.length };
      },
    };
  }

  it("pushes the blobs, then the manifest under the tag or its own digest", async () => {
    const image = await moduleImage({ module: MODULE, name: "f", layout: "cncf" });
    const { digest } = image.manifest;
    const blobs = image.blobs.map(blob => blob.digest);
    for (const [reference, name] of [
      ["reg.example/a:v1", "v1"],
      ["reg.example/a", digest],
      [`reg.example/a:v1@${digest}`, "v1"],
    ] as const) {
      const client = recorder();
      assert.equal((await pushModule(client, parseReference(reference), image)).digest, digest);
      assert.deepEqual(client.calls, [...blobs, name]);
    }
  });

  it("pushes nothing under a digest that is not the image's", async () => {
    const image = await moduleImage({ module: MODULE, name: "f", layout: "cncf" });
    const client = recorder();
    const reference = parseReference(`reg.example/a:v1@${digestOf(MODULE)}`);
    await assert.rejects(pushModule(client, reference, image), coded("DigestMismatch"));
    assert.deepEqual(client.calls, []);
  });
});
