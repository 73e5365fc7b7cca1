import { short } from "./claim.ts";
import type { AuthorityVerdict, PolicyVerdict, Verdict } from "./verdict.ts";

/** A verdict for people, with what each authority was asked and why it said no. Ends with a newline. */
export function verdictText(name: string, digests: readonly string[], verdict: Verdict): string {
  const { allowed, policies, denial, warnings } = verdict;
  const [digest = "", ...below] = digests;
  const index = below.length === 0 ? "" : `, an index with ${below.map(short).join(", ")}`;
  const notes = [...(denial === null ? [] : [`  denied: ${denial}`]), ...warnings.map(text => `  warning: ${text}`)];
  return [
    `${name}: ${allowed ? "allowed" : "DENIED"}`,
    `  digest: ${digest}${index}`,
    ...policies.flatMap(lines),
    ...notes,
    "",
  ].join("\n");
}

function lines({ policy, mode, outcome, authorities }: PolicyVerdict): readonly string[] {
  const kind = mode === "Enforce" ? "" : `, ${mode} only`;
  return [`  ${policy}: ${outcome.toLowerCase()}${kind}`, ...authorities.map(line)];
}

function line({ name, predicateType, failure, signers }: AuthorityVerdict): string {
  const what = predicateType === null ? "" : ` (${predicateType})`;
  return `    ${name}${what}: ${failure === null ? `good, by ${signers.map(shown).join(", ")}` : `${failure.code}: ${failure.message}`}`;
}

/** A key's hash is long, and its beginning tells it. */
function shown(signer: string): string {
  return /^[a-f0-9]{64}$/.test(signer) ? `key ${signer.slice(0, 16)}` : signer;
}
