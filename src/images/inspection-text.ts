import { printable } from "../printable.ts";
import type {
  InspectedAttachment,
  InspectedManifest,
  InspectedModule,
  Inspection,
  ListedManifest,
} from "./inspection.ts";
import { sizeText } from "./size-text.ts";

const LABEL_WIDTH = 13;
const MOST_LINES = 50;
/** Of one line, in characters: an annotation may hold a document. Our own reasons, with long names in them, fit. */
const LONGEST = 300;

/** An inspection for people. Ends with a newline. @param envoy the Envoy release that it speaks of, as "1.40" */
export function inspectionText(inspection: Inspection, envoy: string): string {
  const { name, digest, mediaType, index, manifest, module, problem } = inspection;
  return [
    shown(name),
    ...block("digest", [digest]),
    ...block("media type", [mediaType]),
    ...block("index", (index ?? []).map(listedText)),
    ...(manifest === null ? [] : manifestLines(manifest, digest)),
    ...(module === null ? [] : moduleLines(module, envoy)),
    ...block("no module", problem === null ? [] : [problem]),
    ...block("attached", attachedLines(inspection)),
    "",
  ].join("\n");
}

function manifestLines(manifest: InspectedManifest, top: string): readonly string[] {
  const { digest, artifactType, config, layers, annotations, size } = manifest;
  return [
    ...block("image", digest === top ? [] : [digest]),
    ...block("artifact", artifactType === null ? [] : [artifactType]),
    ...block("config", [`${config.mediaType} ${sizeText(config.size)}`]),
    ...block(
      "layers",
      layers.map(layer => `${layer.mediaType} ${sizeText(layer.size)} ${layer.digest}`),
    ),
    ...block("size", [sizeText(size)]),
    ...block(
      "annotations",
      Object.entries(annotations).map(([key, value]) => `${key}=${value}`),
    ),
  ];
}

function moduleLines(module: InspectedModule, envoy: string): readonly string[] {
  const { layout, sha256, size, abi, rootIds, imports, problems, ok } = module;
  return [
    ...block("layout", [layout]),
    ...block("module", [`sha256 ${sha256}, ${sizeText(size)}`]),
    ...block("ABI", [abi ?? "none"]),
    ...block("root ids", rootIds.length === 0 ? [] : [rootIds.map(id => JSON.stringify(id)).join(", ")]),
    ...block(
      "imports",
      Object.entries(imports).map(([from, names]) => `${from}: ${names.length}`),
    ),
    ...block(`Envoy ${envoy}`, [ok ? "can load it" : "can't load it"]),
    ...block(
      "",
      problems.map(({ code, message }) => `${code}: ${message}`),
    ),
  ];
}

function listedText({ digest, platform, selected }: ListedManifest): string {
  const what = platform === null ? "no platform" : `${platform.os}/${platform.architecture}`;
  return `${digest} ${what}${selected ? " (the one for wasmount)" : ""}`;
}

function attachedLines({ attachments, attachmentsProblem }: Inspection): readonly string[] {
  if (attachments === null) return [`unknown: ${attachmentsProblem}`];
  return attachments.length === 0 ? ["nothing"] : attachments.map(attachmentText);
}

function attachmentText({ kind, artifactType, digest, tag }: InspectedAttachment): string {
  const type = artifactType === null ? "" : ` (${artifactType})`;
  return `${kind}${type} ${digest}${tag === null ? "" : ` as ${tag}`}: present, not verified`;
}

function block(label: string, lines: readonly string[]): readonly string[] {
  const cut = lines.length > MOST_LINES;
  const all = cut ? [...lines.slice(0, MOST_LINES), `… and ${lines.length - MOST_LINES} more (see --json)`] : lines;
  return all.map((line, at) => `  ${(at === 0 ? label : "").padEnd(LABEL_WIDTH)}${shown(line)}`);
}

function shown(text: string): string {
  return printable(text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text);
}
