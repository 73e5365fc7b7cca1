import { writeFile } from "node:fs/promises";
import { stringify } from "yaml";
import { type Outcome, type Reason, reasons } from "../src/decision/reason.ts";
import { type FindingCode, findings } from "../src/diagnosis/finding.ts";
import { policyDefinition } from "../src/trust/crd.ts";
import type { PolicyKind } from "../src/trust/policy.ts";
import { dashboard } from "./dashboard.ts";

const outcomes: Readonly<Record<Outcome, string>> = {
  Injected: "The pod gets the fetcher, and its proxy the filters.",
  Deferred: "The pod is left as it is for now; another webhook changes it, and then wasmount is asked again.",
  Verified: "The pod, as all webhooks have left it, is as wasmount made it.",
  Skipped: "The pod is left as it is.",
  Denied: "The pod is not created. The message says what was found, where, and what would be right.",
};

/** The page about reasons, from the list that the code uses. */
function reasonsPage(): string {
  const sections = Object.entries(outcomes).map(([outcome, meaning]) => {
    const rows = (Object.entries(reasons) as [Reason, (typeof reasons)[Reason]][])
      .filter(([, reason]) => (reason.outcomes as readonly string[]).includes(outcome))
      .map(([code, { sentence, remedy }]) => `| \`${code}\` | ${sentence} | ${remedy} |`);
    return `## ${outcome}\n\n${meaning}\n\n| reason | means | what to do |\n|---|---|---|\n${rows.join("\n")}\n`;
  });
  return `<!-- Written by \`npm run docs\` from src/decision/reason.ts. -->
# Reasons

Every decision about a pod has an outcome and one reason of this list. They stand in the API server's answer (the message
of a denial), in its audit log (\`decision\` and \`reason\` below the webhook's name), in the webhook's log
(\`outcome\`, \`reason\`, and \`detail\` for what was found), in the metric
\`wasmount_admission_decisions_total\`, and in the Event on the pod's controller, or its namespace where it has none.

An internal error is no decision: the webhook answers HTTP 500, the API server follows \`failurePolicy\`, and
\`wasmount_admission_failures_total\` counts it.

${sections.join("\n")}`;
}

/** The page about what `wasmount doctor` finds, from the list that it uses. */
function doctorPage(): string {
  const rows = (Object.entries(findings) as [FindingCode, (typeof findings)[FindingCode]][]).map(
    ([code, { severity, sentence, remedy }]) => `| \`${code}\` | ${severity} | ${sentence} | ${remedy} |`,
  );
  return `<!-- Written by \`npm run docs\` from src/diagnosis/finding.ts. -->
# What \`wasmount doctor\` finds

\`wasmount doctor\` looks at an installation from a laptop, by a kubeconfig, and changes nothing. Each finding has a code, the
place that it was found at, what was found there, and what to do. They come in the order in which they are to be mended: what
comes first may be the cause of what follows. \`--json\` gives the same as one document.

A failure means that pods don't get their filters, are not created, or could run without: exit code 1. A warning is
something to know, or that will become a failure: exit code 0. Where the cluster can't be read at all it is 2.

Certificates are looked at where they are served: in each replica, through the API server (\`pods/portforward\`), by the
authorities of each caBundle, as API servers do. A pod that asks for a filter is tried on a dry run, in the namespace that
\`--namespace\` names. What you may not read is a warning, \`RightMissing\`, and the rest is looked at all the same.

| code | severity | means | what to do |
|---|---|---|---|
${rows.join("\n")}
`;
}

function definitionFile(kind: PolicyKind): string {
  const text = stringify(policyDefinition(kind), { lineWidth: 0, aliasDuplicateObjects: false });
  return `# Written by \`npm run docs\` from src/trust/crd.ts.\n${text}`;
}

/** What is written from the code, by path from the root of the repository. */
export const generated: Readonly<Record<string, () => string>> = {
  "docs/doctor.md": doctorPage,
  "docs/reasons.md": reasonsPage,
  "manifests/crds/namespacedwasmpolicies.yaml": () => definitionFile("NamespacedWasmPolicy"),
  "manifests/crds/wasmpolicies.yaml": () => definitionFile("WasmPolicy"),
  "manifests/grafana/webhook.json": () => `${JSON.stringify(dashboard(), null, 2)}\n`,
};

if (import.meta.main) {
  for (const [path, text] of Object.entries(generated)) await writeFile(new URL(`../${path}`, import.meta.url), text());
}
