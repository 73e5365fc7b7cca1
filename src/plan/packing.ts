import { type CacheBounds, remembering } from "./bounded-cache.ts";
import type { Plan } from "./plan.ts";
import { type PlanSigner, type SignedPlan, signPlan } from "./signature.ts";
import { type PackedPlan, planToEnvironment } from "./transport.ts";

/** Packs a plan. @throws PlanError TooLarge */
export type PackPlan = (plan: Plan) => PackedPlan;

/** Signs a plan for a namespace and an owner. @returns the signature as in signature.ts */
export type SignPlan = (plan: SignedPlan, signer: PlanSigner) => string;

/** Some hundred releases of ordinary size. */
const PACKED: CacheBounds = { entries: 2_000, bytes: 8 * 1024 * 1024 };
const SIGNED: CacheBounds = { entries: 256, bytes: 256 * 1024 };

/**
 * Packing that does the work for equal plans once: the pods of one template differ in nothing that their plan says, and
 * compressing it costs as much as an eighth of an admission.
 */
export function planPacking(bounds: CacheBounds = PACKED): PackPlan {
  const numberOf = numbering();
  // Members in the order in which they were made: an equal plan made in another order is packed again, to the same. So is one
  // whose terms are equal, but not the same: those are most of a plan's text, and made once.
  const keyOf = ({ limits, registries, fetcher, ...rest }: Plan) =>
    `${numberOf(limits)} ${numberOf(registries)} ${numberOf(fetcher)} ${JSON.stringify(rest)}`;
  const textOf = ({ hash, variables }: PackedPlan) => [hash, ...variables.map(({ value }) => value)];
  return remembering(bounds, keyOf, textOf, planToEnvironment);
}

/** A number of its own for each object, for as long as there is one. */
function numbering(): (object: object) => number {
  const numbers = new WeakMap<object, number>();
  let last = 0;
  return object => {
    const known = numbers.get(object);
    if (known !== undefined) return known;
    last += 1;
    numbers.set(object, last);
    return last;
  };
}

/**
 * Signing that does the work for the pods of one owner with equal plans once. The key of what is remembered is the
 * signer's and all that a signature is made over: none is ever given for another plan, namespace or owner.
 */
export function planSigning(bounds: CacheBounds = SIGNED): SignPlan {
  type Signing = SignedPlan & { readonly signer: PlanSigner };
  const keyOf = ({ signer, hash, namespace, owner }: Signing) => JSON.stringify([signer.keyId, hash, namespace, owner]);
  const sign = remembering<string, Signing>(
    bounds,
    keyOf,
    signature => [signature],
    signing => signPlan(signing, signing.signer),
  );
  return ({ hash, namespace, owner }, signer) => sign({ hash, namespace, owner, signer });
}
