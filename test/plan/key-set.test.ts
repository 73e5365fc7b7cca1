import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import {
  KEY_TERMS,
  type KeySet,
  keySetData,
  nextKeySet,
  planKey,
  readKeySet,
  signerOf,
  signingKey,
  verificationKeys,
} from "../../src/plan/key-set.ts";
import { readPlanKeys, signPlan, verifyPlan } from "../../src/plan/signature.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const START = Date.parse("2026-01-01T00:00:00Z");
const PLAN = { hash: "a".repeat(64), namespace: "shop", owner: "u" };

const made = (now: number) => planKey(generateKeyPairSync("ed25519").privateKey, now);

/** The Secret, and what replicas hold of it, one of them an hour less a minute behind the others. */
class Keys {
  now = START;
  data: Readonly<Record<string, string>> | null = null;
  rotate = false;
  memory: KeySet | null = null;
  readonly changes: string[] = [];
  readonly #past: { readonly at: number; readonly set: KeySet }[] = [];

  reconcile(): void {
    for (let steps = 0; steps < 5; steps += 1) {
      const held = this.data === null ? null : readKeySet(this.data, this.rotate);
      if (held !== null && held.keys.length > 0) this.memory = held;
      const change = nextKeySet(held, this.memory, this.now, () => made(this.now));
      if (change === null) break;
      this.changes.push(change.change);
      this.data = keySetData(change.next);
      this.rotate = false;
    }
    if (this.memory) this.#past.push({ at: this.now, set: this.memory });
  }

  /** What a replica held that is behind by so much. */
  heldAt(behindMs: number): KeySet {
    const found = this.#past.findLast(({ at }) => at <= this.now - behindMs) ?? this.#past[0];
    return found?.set ?? assert.fail("none");
  }

  /** A plan that any replica signs is one that any other verifies. */
  assertAgreement(): void {
    const views = [0, 30 * MINUTE, KEY_TERMS.publishedMs - MINUTE].map(behind => this.heldAt(behind));
    for (const { keys } of views) {
      const signer = signingKey(keys, this.now, KEY_TERMS) ?? assert.fail("nobody signs");
      const signature = signPlan(PLAN, signerOf(signer));
      for (const other of views) assert.equal(verifyPlan(PLAN, signature, verificationKeys(other.keys)), signer.keyId);
    }
  }
}

describe("plan-signing keys in a Secret", () => {
  it("begin with one, which signs at once", () => {
    const keys = new Keys();
    keys.reconcile();
    assert.deepEqual(Object.keys(keys.data ?? {}).sort(), ["20260101T000000Z.key", "verification.pem"]);
    keys.assertAgreement();
  });

  it("are changed every year for ten years, and what one replica signs every other one verifies, an hour behind or not", () => {
    const keys = new Keys();
    keys.reconcile();
    const signers = new Set<string>();
    while (keys.now < START + 3_655 * DAY) {
      // Each year's key is made in its first hours, somewhat later every year.
      const isEventful = (keys.now - START) % (365 * DAY) < 7 * HOUR;
      keys.now += isEventful ? 20 * MINUTE : 14 * DAY;
      if ((keys.now - START) % (365 * DAY) < 14 * DAY && !isEventful) keys.now -= (keys.now - START) % (365 * DAY);
      keys.reconcile();
      if (isEventful) keys.assertAgreement();
      signers.add(signingKey(keys.heldAt(0).keys, keys.now, KEY_TERMS)?.keyId ?? "");
    }
    assert.equal(signers.size, 11);
    const { keys: left, retired } = readKeySet(keys.data ?? {}, false);
    assert.deepEqual([left.length, retired.size], [1, 10]);
    assert.equal(keys.changes.filter(change => change === "Due").length, 10);
    assert.ok(!JSON.stringify(keys.data).includes("20260101T000000Z"), "the private half of a retired one is gone");
  });

  it("are published an hour before they sign, and count an hour after another one signs", () => {
    const keys = new Keys();
    keys.reconcile();
    const [old] = keys.heldAt(0).keys;
    keys.now += 90 * DAY;
    keys.rotate = true;
    keys.reconcile();
    const signer = () => signingKey(keys.heldAt(0).keys, keys.now, KEY_TERMS)?.keyId;
    assert.equal(keys.heldAt(0).keys.length, 2);
    keys.now += 59 * MINUTE;
    assert.equal(signer(), old?.keyId);
    keys.now += 2 * MINUTE;
    assert.notEqual(signer(), old?.keyId);
    keys.reconcile();
    assert.equal(keys.heldAt(0).keys.length, 2);
    keys.now += HOUR;
    keys.reconcile();
    assert.equal(keys.heldAt(0).keys.length, 1);
    const shown = readPlanKeys([keys.data?.["retired.pem"] ?? ""]);
    assert.deepEqual([...shown.keys()], [old?.keyId], "for plan verify");
    assert.deepEqual([...readPlanKeys([keys.data?.["verification.pem"] ?? ""]).keys()], [signer()]);
  });

  it("are one more at a time, however often one is asked for", () => {
    const keys = new Keys();
    keys.reconcile();
    for (let asked = 0; asked < 20; asked += 1) {
      keys.now += MINUTE;
      keys.rotate = true;
      keys.reconcile();
      keys.assertAgreement();
    }
    assert.equal(keys.heldAt(0).keys.length, 2);
  });

  for (const [what, data] of Object.entries({
    "is deleted": null,
    "is junk": { "tls.crt": "junk", "20260101T000000Z.key": "junk", "99999999T999999Z.key": "junk" },
    "holds a key of another kind": {
      "20260101T000000Z.key": generateKeyPairSync("ec", { namedCurve: "P-256" })
        .privateKey.export({ type: "pkcs8", format: "pem" })
        .toString(),
    },
  })) {
    it(`are put back as replicas hold them where the Secret ${what}`, () => {
      const keys = new Keys();
      keys.reconcile();
      const before = keys.data;
      keys.data = data;
      keys.reconcile();
      assert.deepEqual(keys.data, before);
      keys.assertAgreement();
      assert.deepEqual(keys.changes, ["Missing", "Restored"]);
    });
  }

  it("are made where nobody holds any", () => {
    const keys = new Keys();
    keys.data = { junk: "junk" };
    keys.reconcile();
    assert.deepEqual(keys.changes, ["Missing"]);
  });

  it("no longer count where one is taken out by hand", () => {
    const keys = new Keys();
    keys.reconcile();
    keys.now += DAY;
    keys.rotate = true;
    keys.reconcile();
    const [old, next] = keys.heldAt(0).keys;
    const { "20260101T000000Z.key": _, ...rest } = keys.data ?? {};
    keys.data = rest;
    keys.reconcile();
    assert.deepEqual(
      keys.heldAt(0).keys.map(({ keyId }) => keyId),
      [next?.keyId],
    );
    assert.throws(
      () => verifyPlan(PLAN, signPlan(PLAN, signerOf(old ?? assert.fail())), verificationKeys(keys.heldAt(0).keys)),
      { code: "UnknownKey" },
    );
  });

  it("outlive a clock that was put back", () => {
    const keys = new Keys();
    keys.now += 3 * DAY;
    keys.reconcile();
    keys.now -= 3 * DAY;
    keys.reconcile();
    keys.assertAgreement();
    assert.deepEqual(keys.changes, ["Missing"]);
  });
});
