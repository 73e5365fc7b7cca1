import { isDeepStrictEqual } from "node:util";
import { parseAllDocuments } from "yaml";
import { applySplices, type Splice } from "../envoy/splice.ts";
import { expandedAliases } from "./alias-expansion.ts";
import type { Origins } from "./applied.ts";
import { InjectError } from "./error.ts";
import { jsonText, kubernetesYaml } from "./kubernetes-yaml.ts";
import type { Manifest, ManifestDocument } from "./manifest.ts";
import { documentText } from "./rendering.ts";
import { endOf, SourceText, type Tree } from "./source-text.ts";
import { textEdits } from "./text-edits.ts";

/** A file after its documents have changed. */
export interface Rewritten {
  readonly text: string;
  /** Places of the documents that had to be written anew, without their comments. */
  readonly anew: readonly string[];
}

/**
 * Writes changed values into the text of a file. What did not change stays byte for byte.
 * @param values of the documents, in their order
 * @throws InjectError Unwritable
 */
export function rewrite(manifest: Manifest, values: readonly unknown[], origins: Origins): Rewritten {
  const splices: Splice[] = [];
  const anew: string[] = [];
  for (const [index, document] of manifest.documents.entries()) {
    const after = values[index];
    if (document.value === after) continue;
    const edits = editsOf(manifest, document, after, origins);
    if (edits === null) anew.push(document.place);
    splices.push(...(edits ?? replacement(manifest, document, after)));
  }
  return { text: applySplices(manifest.text, splices), anew };
}

/** Changes that keep the document's text, null where they don't give the value. */
function editsOf(
  manifest: Manifest,
  document: ManifestDocument,
  after: unknown,
  origins: Origins,
): readonly Splice[] | null {
  const contents = document.tree.contents as Tree | null;
  if (contents === null) return null;
  const source = new SourceText(manifest, contents);
  const edits = textEdits(source, contents, document.value, after, origins);
  if (isWritten(manifest.text, document, edits, after)) return edits;
  const expanding = [...edits, ...expandedAliases(document.tree, edits, source.style)];
  return isWritten(manifest.text, document, expanding, after) ? expanding : null;
}

function replacement(manifest: Manifest, document: ManifestDocument, after: unknown): readonly Splice[] {
  const contents = document.tree.contents as Tree | null;
  const source = new SourceText(manifest, contents);
  if (contents !== null) {
    const start = contents.range[0];
    const end = endOf(contents);
    const { lineEnd } = source.style;
    const opening = source.lineStart(start) === start || manifest.format === "json" ? "" : lineEnd;
    const closing = source.lineStart(end) === end ? lineEnd : "";
    const text = manifest.format === "json" ? jsonText(after, "  ") : documentText(after, source.style);
    const splices = [{ start, end, text: opening + text + closing }];
    if (isWritten(manifest.text, document, splices, after)) return splices;
  }
  throw new InjectError(
    "Unwritable",
    `${document.place}: the result can't be written into the document: write out what its anchors and aliases name`,
  );
}

/** Whether the document, with its text changed, reads as the value. */
function isWritten(text: string, { tree }: ManifestDocument, splices: readonly Splice[], value: unknown): boolean {
  const [start, , end] = tree.range;
  const moved = splices.map(splice => ({ ...splice, start: splice.start - start, end: splice.end - start }));
  if (moved.some(splice => splice.start < 0 || splice.end > end - start)) return false;
  const documents = parseAllDocuments(applySplices(text.slice(start, end), moved), kubernetesYaml);
  const [document] = documents;
  if (document === undefined || documents.length !== 1 || document.errors.length > 0) return false;
  // A tag that no longer fits its value is one more warning.
  if (document.warnings.length > tree.warnings.length) return false;
  try {
    return isDeepStrictEqual(document.toJS(), value);
  } catch (error) {
    // An alias whose anchor has gone.
    if (error instanceof ReferenceError) return false;
    throw error;
  }
}
