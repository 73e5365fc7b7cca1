import { type ReviewResponse, reviewResponse } from "../admission/response.ts";
import { isObject } from "../admission/review-member.ts";
import type { Origins } from "./applied.ts";
import { InjectError } from "./error.ts";
import type { InjectedManifest, Injection } from "./injection.ts";
import { documentText } from "./rendering.ts";
import { type Rewritten, rewrite } from "./rewriting.ts";

/** `same`: each file in the format that it came in. */
export const outputs = ["same", "yaml", "json", "patch", "review"] as const;
export type Output = (typeof outputs)[number];

/**
 * The result in the form that was asked for.
 * @throws InjectError Inexpressible, Unwritable
 */
export function outputText(injected: readonly InjectedManifest[], output: Output, origins: Origins): Rewritten {
  const injections = injected.flatMap(file => file.injections);
  if (output === "patch") return { text: jsonDocument(injections.map(patchOf)), anew: [] };
  if (output === "review") return { text: jsonDocument(injections.map(reviewOf)), anew: [] };
  const [only] = injected;
  const isWhole = (format: string) => injected.length === 1 && only?.manifest.format === format;
  if (output === "json" && !isWhole("json")) return { text: jsonDocument(oneObject(injected)), anew: [] };
  const texts = injected.map(({ manifest, values }) =>
    output === "yaml" && manifest.format === "json"
      ? {
          text: values.map(value => documentText(value, { lineEnd: "\n", listIndent: 2, json: false })).join("\n---\n"),
          anew: [],
        }
      : rewrite(manifest, values, origins),
  );
  const text = texts.length === 1 ? texts[0]?.text : joined(texts.map(file => file.text));
  return { text: ended(text ?? "", output), anew: texts.flatMap(file => file.anew) };
}

/** Ends a text that was made here; one that came stays as it came. */
function ended(text: string, output: Output): string {
  return output === "yaml" && !text.endsWith("\n") ? `${text}\n` : text;
}

/** Several files as one stream of documents. */
function joined(texts: readonly string[]): string {
  return texts.reduce((stream, text) => {
    if (stream === "") return text;
    const end = stream.endsWith("\n") ? "" : "\n";
    // Directives stand before the marker that ends them, and behind one that ends a document.
    const marker = /^\ufeff?(?:#.*\n|\s*\n)*%/.test(text) ? "...\n" : /^\ufeff?---\s/.test(text) ? "" : "---\n";
    return stream + end + marker + text;
  }, "");
}

function jsonDocument(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}

function patchOf({ workload: { kind, name }, namespace, patch }: Injection): object {
  return { kind, namespace, name, patch };
}

/** The answer that the webhook would give for a pod of the workload: its patch is relative to that pod. */
function reviewOf({ workload: { kind, name }, namespace, decision }: Injection): ReviewResponse {
  return reviewResponse(`${kind}/${namespace}/${name}`, decision);
}

/** All documents as one value: the only one, or a List of them. */
function oneObject(injected: readonly InjectedManifest[]): unknown {
  const documents = injected.flatMap(({ manifest, values }) =>
    values.map((value, index) => ({ value, place: manifest.documents[index]?.place ?? manifest.name })),
  );
  const written = documents.filter(({ value }) => value !== null);
  for (const { value, place } of written) refuseInexact(value, place);
  const [first] = written;
  if (first !== undefined && written.length === 1) return first.value;
  const items = written.map(({ value, place }) => {
    if (isObject(value)) return value;
    throw new InjectError("Inexpressible", `${place} is no object, and can't be an item of a List: leave -o json out`);
  });
  return { apiVersion: "v1", kind: "List", items };
}

/** JSON has no infinity, and this program no integers beyond 2^53: they would come out as others. */
function refuseInexact(value: unknown, place: string): void {
  if (typeof value === "number" && (!Number.isFinite(value) || Math.abs(value) > Number.MAX_SAFE_INTEGER)) {
    throw new InjectError("Inexpressible", `${place}: the number ${value} can't be kept exactly in JSON: quote it`);
  }
  if (typeof value === "object" && value !== null) {
    for (const member of Object.values(value)) refuseInexact(member, place);
  }
}
