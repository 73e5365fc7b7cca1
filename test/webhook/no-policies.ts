import { NO_POLICIES } from "../../src/policies/policy-set.ts";
import { evaluate } from "../../src/trust/evaluation.ts";
import type { Sources } from "../../src/webhook/decide.ts";

/** A cluster without policies, whose operator minds no image that none is for. */
export const noPolicies: Pick<Sources, "policies" | "judge"> = {
  policies: () => NO_POLICIES,
  judge({ reference, digest }, { rules }) {
    const { registry, repository, tag } = reference;
    const image = { registry, repository, tag, byDigest: reference.digest !== null, digests: [digest] };
    const found = () => ({ unreadable: "no registry is asked", deferrable: false });
    return evaluate(rules, image, found, { unmatched: "Allow", stage: "Admission" });
  },
};
