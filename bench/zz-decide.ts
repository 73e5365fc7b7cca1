// scratch: decision alone
import { generateKeyPairSync } from "node:crypto";
import { envoyDataPlane } from "../src/dataplanes/envoy.ts";
import { mutation } from "../src/webhook/decide.ts";
import { readReview } from "../src/admission/review.ts";
import { readPod } from "../src/admission/pod-object.ts";
import { reviewResponse } from "../src/admission/response.ts";
import { planPacking, planSigning } from "../src/plan/packing.ts";
import { readSigner } from "../src/plan/signature.ts";
import { fixedPolicies } from "../src/policies/cluster-policies.ts";
import { NamespaceRegistries } from "../src/webhook/namespace-registries.ts";
import { readPlanKeyring } from "../src/webhook/plan-keys.ts";
import { loadConfig } from "../src/config/load.ts";
import { namespace, podReview } from "./reviews.ts";
import { writeFileSync } from "node:fs";
writeFileSync("/tmp/zz.key", generateKeyPairSync("ed25519").privateKey.export({ type: "pkcs8", format: "pem" }));
writeFileSync("/tmp/zz.yaml", "tls: {certFile: /tmp/x, keyFile: /tmp/x}\nfetcher: {image: 'registry.example/wasmount:1'}\nplan: {signingKeyFile: /tmp/zz.key}\n");
const config = await loadConfig("/tmp/zz.yaml");
const { signer, keys } = await readPlanKeyring(config.plan);
const sign = planSigning();
const admission = { ...config, pack: planPacking(), sign: signer && ((plan: any) => sign(plan, signer)), keys } as any;
const registries = new NamespaceRegistries({ credentials: new Map(), open: () => ({ close() {} }) as any, budgetMs: 1, unmatched: config.policy.unmatched, unread: () => {} });
const policies = fixedPolicies([]);
const decide = mutation(admission, envoyDataPlane, { namespaces: { get: async () => namespace, getNow: async () => namespace }, limitsOf: async () => [], resolve: (() => {}) as any, policies: policies.current, judge: (...a: Parameters<typeof registries.judge>) => registries.judge(...a) });
const replicas = Number(process.argv[2] ?? 1), N = Number(process.argv[3] ?? 20000);
const bodies = Array.from({ length: 4000 }, (_, i) => Buffer.from(JSON.stringify(podReview(i, { plans: 50, replicas }))));
let out = 0;
async function one(b: Buffer) {
  const asked = readReview(b.toString("utf8"));
  const pod = readPod(asked.object);
  const decision = await decide({ pod, namespace: asked.namespace, entry: "namespace", dryRun: false });
  out += Buffer.from(JSON.stringify(reviewResponse(asked.uid, decision))).length;
}
const best = { total: 1e9 }; let parse = 1e9;
let i = 0;
for (let done = 0; done < N; done += 200) {
  const c0 = process.cpuUsage();
  for (let k = 0; k < 200; k++) await one(bodies[i++ % bodies.length]!);
  const c = process.cpuUsage(c0);
  best.total = Math.min(best.total, (c.user + c.system) / 200);
}
for (let done = 0; done < N; done += 200) {
  const c0 = process.cpuUsage();
  for (let k = 0; k < 200; k++) readReview(bodies[i++ % bodies.length]!.toString("utf8"));
  const c = process.cpuUsage(c0);
  parse = Math.min(parse, (c.user + c.system) / 200);
}
console.log(`replicas ${replicas}: best ${best.total} us/op, parse alone ${parse}, answer bytes ${out / N}`);
