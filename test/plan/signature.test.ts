import assert from "node:assert/strict";
import { generateKeyPairSync, type KeyObject } from "node:crypto";
import { readPlanKeys, readSigner, type SignedPlan, signPlan, verifyPlan } from "../../src/plan/signature.ts";

const plan: SignedPlan = { hash: "a".repeat(64), namespace: "shop", owner: "6c1b7f1e-0000-4000-8000-000000000001" };

function pems(): { signing: string; verifying: string } {
  const { privateKey, publicKey } = generateKeyPairSync("ed25519");
  const pem = (key: KeyObject, type: "pkcs8" | "spki") => key.export({ type, format: "pem" }).toString();
  return { signing: pem(privateKey, "pkcs8"), verifying: pem(publicKey, "spki") };
}

describe("plan signature", () => {
  const old = pems();
  const current = pems();

  it("is accepted by the key that made it, and always the same", () => {
    const signer = readSigner(current.signing);
    const signature = signPlan(plan, signer);
    assert.equal(signature, signPlan(plan, signer));
    assert.equal(verifyPlan(plan, signature, readPlanKeys([current.verifying])), signer.keyId);
  });

  it("counts for both keys while they are being rotated", () => {
    const keys = readPlanKeys([old.verifying, current.verifying]);
    for (const { signing } of [old, current]) verifyPlan(plan, signPlan(plan, readSigner(signing)), keys);
  });

  it("does not count once its key is gone", () => {
    const signature = signPlan(plan, readSigner(old.signing));
    assert.throws(() => verifyPlan(plan, signature, readPlanKeys([current.verifying])), { code: "UnknownKey" });
  });

  const others: [title: string, changes: Partial<SignedPlan>][] = [
    ["another plan", { hash: "b".repeat(64) }],
    ["another namespace", { namespace: "other" }],
    ["another owner", { owner: "6c1b7f1e-0000-4000-8000-000000000002" }],
    ["a pod without an owner", { owner: "" }],
  ];
  for (const [title, changes] of others) {
    it(`does not count for ${title}`, () => {
      const signature = signPlan(plan, readSigner(current.signing));
      assert.throws(() => verifyPlan({ ...plan, ...changes }, signature, readPlanKeys([current.verifying])), {
        code: "BadSignature",
      });
    });
  }

  it("does not count when it is cut, changed or made under another key's name", () => {
    const keys = readPlanKeys([current.verifying]);
    const signature = signPlan(plan, readSigner(current.signing));
    const [keyId = "", encoded = ""] = signature.split(".");
    const foreign = signPlan(plan, readSigner(old.signing)).split(".")[1];
    for (const wrong of [`${keyId}.`, keyId, `${keyId}.${encoded.slice(0, -4)}`, `${keyId}.${foreign}`]) {
      assert.throws(() => verifyPlan(plan, wrong, keys), { code: "BadSignature" });
    }
    assert.throws(() => verifyPlan(plan, "", keys), { code: "UnknownKey" });
  });

  it("is not made with keys of another kind", () => {
    const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 })
      .privateKey.export({ type: "pkcs8", format: "pem" })
      .toString();
    assert.throws(() => readSigner(rsa), { code: "BadKey", message: /Ed25519.*is rsa/ });
    assert.throws(() => readSigner("nonsense"), { code: "BadKey", message: /PKCS #8/ });
    assert.throws(() => readPlanKeys(["nonsense"]), { code: "BadKey", message: /SPKI/ });
  });
});
