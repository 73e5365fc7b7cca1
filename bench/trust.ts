import { verify } from "node:crypto";
import { Command, Option } from "commander";
import { parseReference } from "../src/oci/reference.ts";
import { imageJudgement } from "../src/policies/image-judgement.ts";
import { PolicySet } from "../src/policies/policy-set.ts";
import { readBundle } from "../src/trust/bundle.ts";
import { evaluate } from "../src/trust/evaluation.ts";
import { readPublicKey } from "../src/trust/public-key.ts";
import { VERDICT_SETTINGS, Verdicts } from "../src/trust/verdicts.ts";
import { foundPolicy, RELEASE } from "../test/policies/policies.ts";
import { imageBytes, MemoryEvidence } from "../test/trust/memory-evidence.ts";
import { bundleBy } from "../test/trust/samples.ts";

const REPOSITORY = "registry.example/team/filter";

const { policies: count, json } = new Command("bench:trust")
  .description(
    "Measures what a verdict costs at admission, beside the network: one that is held, and one that is made, against the signature's check alone.",
  )
  .addOption(
    new Option("--policies <n>", "policies in the cluster, of which one is for the image")
      .argParser(Number)
      .default(20),
  )
  .option("--json", "print the result as JSON")
  .addHelpText("after", "\nExample:\n  npm run bench:trust -- --policies 256")
  .parse()
  .opts<{ readonly policies: number; readonly json?: true }>();

const source = new MemoryEvidence();
const digest = source.add(imageBytes("a"));
source.sign(digest, REPOSITORY, RELEASE);
const others = Array.from({ length: count - 1 }, (_, index) =>
  foundPolicy(`other-${index}`, { match: { repositories: [`registry.example/other-${index}/**`] } }),
);
const set = new PolicySet([foundPolicy("release"), ...others], { secret: () => null, configMap: () => null });
const verdicts = new Verdicts({
  source,
  unmatched: "Deny",
  unreadable: error => ({ unreadable: error.message, deferrable: false }),
  settings: VERDICT_SETTINGS,
  now: () => performance.now(),
});
const reference = parseReference(`${REPOSITORY}:1`);
const late = { signal: new AbortController().signal };
const namespace = { name: "shop", labels: {} };

async function held(): Promise<void> {
  const demands = set.demandsOn(reference, namespace);
  const { denial } = imageJudgement(demands, await verdicts.judge({ reference, digest }, demands, late));
  if (denial !== null) throw new Error(denial);
}

const signature = bundleBy(RELEASE, { digest });
const found = () => ({ signatures: [signature], faults: [] });
const { rules } = set.demandsOn(reference, namespace);
const image = { registry: "registry.example", repository: "team/filter", tag: "1", byDigest: false, digests: [digest] };

async function made(): Promise<void> {
  const { denial } = await evaluate(rules, image, found, { unmatched: "Deny", stage: "Admission" });
  if (denial !== null) throw new Error(denial);
}

const { key, hash } = readPublicKey(RELEASE.publicPem);
if (signature.format !== "sigstoreBundle") throw new Error("a bundle was expected");
const bundle = readBundle(signature.bytes);

async function checked(): Promise<void> {
  if (!verify(hash, bundle.signed, { key, dsaEncoding: "der" }, bundle.signature)) throw new Error("not signed");
}

/** Microseconds of CPU time, user and system, of one call. */
async function cost(work: () => Promise<void>, calls: number): Promise<number> {
  for (let call = 0; call < calls / 10; call += 1) await work();
  const before = process.cpuUsage();
  for (let call = 0; call < calls; call += 1) await work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / calls;
}

const rows = [
  { what: "a verdict that is held, with the choice of policies", microseconds: await cost(held, 100_000), bound: 50 },
  { what: "a verdict that is made, P-256, one bundle", microseconds: await cost(made, 2_000), bound: 5_000 },
  { what: "the signature's check alone (baseline)", microseconds: await cost(checked, 2_000), bound: null },
];
if (json) console.log(JSON.stringify({ policies: count, rows }, null, 2));
else {
  console.log(`${count} policies; CPU time of one call, beside the network\n`);
  for (const { what, microseconds, bound } of rows) {
    console.log(`${microseconds.toFixed(1).padStart(9)} µs  ${what}${bound === null ? "" : ` (at most ${bound})`}`);
  }
}
