import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { clusterUnavailable } from "../environment/cluster/cluster.ts";
import { asking, type Installation, install } from "../environment/installed-cluster.ts";
import { makeNamespace } from "../environment/namespace.ts";
import { unavailable } from "../environment/requirement.ts";
import type { Manifest } from "../environment/stage.ts";

const NAMESPACE = "integration-bypass";
const REASON = "INC-4711: webhook is down";

describe("wasmount bypass", function () {
  this.timeout(15 * 60_000);
  let folder: string;
  let installation: Installation;
  let intact: string;

  before(async function () {
    const reason = await clusterUnavailable({ node: false });
    if (reason !== null) unavailable(this, reason);
    folder = await mkdtemp(join(tmpdir(), "wasmount-bypass-"));
    installation = await install(folder);
    await makeNamespace(installation.kubectl, NAMESPACE, { labels: { "wasmount.dev/inject": "true" } });
  });

  after(async () => {
    await installation?.kubectl.run(["delete", "namespace", NAMESPACE, "--ignore-not-found", "--wait=false"]);
    await installation?.close();
    if (folder) await rm(folder, { recursive: true, force: true });
  });

  /** The objects that a bypass changes, without what every write changes. */
  async function objects(): Promise<string> {
    const { kubectl } = installation;
    const found = await Promise.all([
      kubectl.get<Manifest>("mutatingwebhookconfiguration", "wasmount"),
      kubectl.get<Manifest>("validatingwebhookconfiguration", "wasmount"),
      kubectl.get<Manifest>("validatingadmissionpolicybinding", "wasmount-unfiltered-pods"),
    ]);
    for (const { metadata } of found) {
      for (const member of ["managedFields", "resourceVersion", "generation"]) delete metadata[member];
    }
    return JSON.stringify(found);
  }

  const dry = (name = "dry") => installation.tried(asking(NAMESPACE, name), "--dry-run=server", "-o", "json");

  const answers = (what: string, expected: RegExp) =>
    installation.eventually(what, async () => {
      const output = await dry();
      return expected.test(output) ? output : null;
    });

  const bypass = async (code: number, ...args: readonly string[]) => {
    const outcome = await installation.wasmount("bypass", ...args);
    assert.equal(outcome.code, code, outcome.stdout + outcome.stderr);
    return outcome.stdout;
  };

  it("is not on where nobody bypassed anything", async () => {
    await answers("an injected pod", /"wasmount-fetch"/);
    intact = await objects();
    const text = await bypass(0, "status");
    assert.match(text, /^No bypass/);
    assert.match(text, /new pods that ask for filters and have no fetcher \(wasmount-unfiltered-pods\)/);
  });

  it("changes nothing on a dry run", async () => {
    const text = await bypass(0, "on", "--unfiltered", "--dry-run", "--reason", REASON);
    assert.match(text, /would change MutatingWebhookConfiguration\/wasmount\nwould change Validating/);
    assert.equal(await objects(), intact);
  });

  it("is refused without a confirmation", async () => {
    assert.match((await installation.wasmount("bypass", "on", "--reason", REASON)).stderr, /say --yes/);
    assert.equal(await objects(), intact);
  });

  it("leaves the webhook out; pods that ask for filters are then refused by policy", async () => {
    await installation.webhook.kill();
    await answers("the webhook to be missed", /failed calling webhook "namespace\.wasmount\.dev"/);
    const text = await bypass(0, "on", "--reason", REASON, "--yes");
    assert.match(
      text,
      /^changed MutatingWebhookConfiguration\/wasmount\nchanged ValidatingWebhookConfiguration\/wasmount\nBYPASSED/,
    );
    const refused = await answers("the policy to refuse", /ValidatingAdmissionPolicy 'wasmount-unfiltered-pods'/);
    assert.match(
      refused,
      /the pod asks for filters \(annotations wasmount\.dev\/module\.\*\), but its first init container/,
    );
    const other = asking(NAMESPACE, "other");
    other.metadata.annotations = {};
    assert.match(await installation.tried(other), /created/);
  });

  it("says who did it, since when and why, and keeps the first record", async () => {
    assert.match(await bypass(0, "on", "--reason", "another", "--yes"), /^nothing to change/);
    const { objects: found, webhook, unfiltered } = JSON.parse(await bypass(1, "status", "--json"));
    assert.deepEqual([webhook, unfiltered], [true, false]);
    const { kubectl } = installation;
    const who = JSON.parse(await kubectl.run(["auth", "whoami", "-o", "json"])).status.userInfo.username;
    for (const { object, state, mark } of found.slice(0, 2)) {
      assert.equal(state, "Bypassed", object);
      assert.deepEqual([mark.by, mark.reason], [who, REASON]);
      assert.match(mark.since, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
    }
  });

  it("lets pods start unfiltered where that is asked for, with a warning", async () => {
    await bypass(0, "on", "--unfiltered", "--reason", REASON, "--yes");
    const output = await installation.eventually("a pod to be let in", async () => {
      const said = await installation.tried(asking(NAMESPACE, "unfiltered"));
      return /pod\/unfiltered created/.test(said) ? said : null;
    });
    assert.match(
      output,
      /Warning: Validation failed for ValidatingAdmissionPolicy 'wasmount-unfiltered-pods'.*asks for filters/,
    );
    assert.match(await bypass(1, "status"), /^BYPASSED.*WITHOUT the filters/);
  });

  it("completes what was begun, and what came in between", async () => {
    const { kubectl } = installation;
    const path = "/webhooks/3/matchConditions/1";
    const removal = JSON.stringify([{ op: "remove", path }]);
    await kubectl.run(["patch", "mutatingwebhookconfiguration", "wasmount", "--type=json", "-p", removal]);
    assert.match(await bypass(1, "status"), /MutatingWebhookConfiguration\/wasmount: bypassed in part/);
    assert.match(
      await bypass(0, "on", "--unfiltered", "--reason", REASON, "--yes"),
      /^changed MutatingWebhookConfiguration\/wasmount\nBYPASSED/,
    );
  });

  it("is taken back exactly, and the pod that got in is told of", async () => {
    const text = await bypass(0, "off");
    assert.match(text, /^changed ValidatingAdmissionPolicyBinding\/wasmount-unfiltered-pods\nchanged Validating/);
    assert.equal(await objects(), intact);
    await answers("the webhook to be missed", /failed calling webhook "namespace\.wasmount\.dev"/);
    assert.match(await bypass(0, "off"), /^nothing to change/);
    const { code, stdout } = await installation.wasmount("status", "-n", NAMESPACE, "--json");
    assert.equal(code, 1, stdout);
    const reports = JSON.parse(stdout).pods.map(({ pod, state, code: why }: Manifest) => [pod, state, why]);
    assert.deepEqual(reports, [["unfiltered", "Uninjected", "Injected"]]);
  });

  it("is refused where it would let pods in unfiltered and nobody says that it may", async () => {
    const { kubectl } = installation;
    await kubectl.run(["delete", "validatingadmissionpolicybinding", "wasmount-unfiltered-pods"]);
    const { code, stderr } = await installation.wasmount("bypass", "on", "--reason", REASON, "--yes");
    assert.equal(code, 2);
    assert.match(stderr, /policy wasmount-unfiltered-pods is not in force.*say --unfiltered/);
  });
});
