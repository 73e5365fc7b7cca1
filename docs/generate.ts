import { writeFile } from "node:fs/promises";
import { stringify } from "yaml";
import { version } from "../src/cli/version.ts";
import { type Outcome, type Reason, reasons } from "../src/decision/reason.ts";
import { policyDefinition } from "../src/trust/crd.ts";
import type { PolicyKind } from "../src/trust/policy.ts";
import { chartFiles, chartMetadata } from "./chart.ts";
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

function definitionFile(kind: PolicyKind): string {
  const { metadata, ...definition } = policyDefinition(kind);
  // Helm would take every policy away with the definitions.
  const kept = { ...metadata, annotations: { "helm.sh/resource-policy": "keep" } };
  const { apiVersion, kind: type, ...rest } = definition;
  const text = stringify(
    { apiVersion, kind: type, metadata: kept, ...rest },
    { lineWidth: 0, aliasDuplicateObjects: false },
  );
  return `# Written by \`npm run docs\` from src/trust/crd.ts.\n${text}`;
}

/** What is written from the code, by path from the root of the repository. */
export const generated: Readonly<Record<string, () => string>> = {
  "docs/reasons.md": reasonsPage,
  ...chartFiles,
  "charts/wasmount/Chart.yaml": () => chartMetadata(version),
  "charts/wasmount/files/crds/namespacedwasmpolicies.yaml": () => definitionFile("NamespacedWasmPolicy"),
  "charts/wasmount/files/crds/wasmpolicies.yaml": () => definitionFile("WasmPolicy"),
  "charts/wasmount/files/dashboard.json": () => `${JSON.stringify(dashboard(), null, 2)}\n`,
};

if (import.meta.main) {
  for (const [path, text] of Object.entries(generated)) await writeFile(new URL(`../${path}`, import.meta.url), text());
}
