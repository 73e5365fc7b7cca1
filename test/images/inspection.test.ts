import assert from "node:assert/strict";
import { type InspectRequest, inspectImage } from "../../src/images/inspection.ts";
import { inspectionText } from "../../src/images/inspection-text.ts";
import { RegistryImages } from "../../src/images/registry-images.ts";
import { OCI_INDEX, OCI_MANIFEST } from "../../src/oci/media-types.ts";
import { moduleImage } from "../../src/oci/module-image.ts";
import { parseReference } from "../../src/oci/reference.ts";
import { type HostileRegistry, type Play, startHostileRegistry } from "../environment/hostile-registry.ts";
import { descriptorOf, manifestBytes } from "../oci/images.ts";
import { coded, Stage } from "../oci/scripted-server.ts";
import { temporaryFolder } from "../store/temporary-folder.ts";
import { GOOD_MODULE } from "./modules.ts";

const ENVOY = "1.40";

describe("inspectImage", () => {
  const stage = new Stage();
  const inFolder = temporaryFolder();
  let registry: HostileRegistry;

  beforeEach(async () => {
    registry = await startHostileRegistry();
  });

  afterEach(async () => {
    await stage.clear();
    await registry.close();
  });

  async function module(): Promise<string> {
    return registry.image(await moduleImage({ module: GOOD_MODULE, name: "filter", layout: "compat" }));
  }

  function inspect(digest: string, change: Partial<InspectRequest> = {}) {
    const client = stage.client([registry], { limits: { referrers: 256 } });
    const source = new RegistryImages(client, parseReference(`${registry.address}/team/filter@${digest}`));
    return inspectImage(source, {
      envoyVersion: ENVOY,
      temporary: inFolder(),
      limits: client.limits,
      watcher: { started() {}, moved() {}, finished() {} },
      signal: new AbortController().signal,
      ...change,
    });
  }

  /** Takes over the requests for referrers alone. */
  function referrers(play: (...exchange: Parameters<Play>) => void): void {
    registry.script((request, response) => {
      const isAsked = request.url?.includes("/referrers/") ?? false;
      if (isAsked) play(request, response);
      return isAsked;
    });
  }

  it("says that nothing is attached where nothing is", async () => {
    const inspection = await inspect(await module());
    assert.deepEqual([inspection.attachments, inspection.attachmentsProblem], [[], null]);
    assert.match(inspectionText(inspection, ENVOY), /\n {2}attached +nothing\n/);
  });

  const many = Array.from({ length: 257 }, (_, at) =>
    descriptorOf(manifestBytes({ annotations: { at: `${at}` } }), OCI_MANIFEST),
  );
  const list = JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests: many });
  const untold: readonly (readonly [title: string, play: Parameters<typeof referrers>[0], problem: RegExp])[] = [
    ["may not be listed", (_, response) => response.writeHead(403).end(), /denies access \(403\)$/],
    [
      "is more than is listed",
      (_, response) => response.writeHead(200, { "content-type": OCI_INDEX }).end(list),
      /more than the 256 referrers allowed$/,
    ],
  ];
  for (const [title, play, problem] of untold) {
    it(`tells of the image where what is attached ${title}`, async () => {
      const digest = await module();
      referrers(play);
      const inspection = await inspect(digest);
      assert.equal(inspection.module?.ok, true);
      assert.equal(inspection.attachments, null);
      assert.match(inspection.attachmentsProblem ?? "", problem);
      assert.match(inspectionText(inspection, ENVOY), /\n {2}layout +compat\n.*\n {2}attached +unknown: cannot list/s);
    });
  }

  it("takes the image of the platform asked for where an index leaves a choice", async () => {
    const image = await moduleImage({ module: GOOD_MODULE, name: "filter", layout: "compat" });
    const other = await moduleImage({ module: GOOD_MODULE, name: "filter", layout: "compat", rootIds: ["arm"] });
    const manifests = [
      { ...image.manifest, architecture: "amd64" },
      { ...other.manifest, architecture: "arm64" },
    ].map(({ bytes, architecture }) => ({
      ...descriptorOf(bytes, OCI_MANIFEST),
      platform: { os: "linux", architecture },
    }));
    await registry.image(image);
    await registry.image(other);
    const index = registry.hold(
      Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests })),
      OCI_INDEX,
    );
    const chosen = await inspect(index, { platform: "linux/arm64" });
    assert.equal(chosen.manifest?.digest, other.manifest.digest);
    assert.deepEqual(chosen.module?.rootIds, ["arm"]);
    assert.deepEqual(
      chosen.index?.map(({ selected }) => selected),
      [false, true],
    );
    for (const platform of [undefined, "linux/s390x"]) {
      const { manifest, module, problem } = await inspect(index, { platform });
      assert.deepEqual([manifest, module], [null, null]);
      assert.match(problem ?? "", /leaves a choice .*else name one by its digest, or by its platform with --platform$/);
    }
  });

  it("ends where it is told to, and tells nothing", async () => {
    const digest = await module();
    const stop = new AbortController();
    referrers(() => stop.abort());
    await assert.rejects(inspect(digest, { signal: stop.signal }), coded("Cancelled"));
  });
});
