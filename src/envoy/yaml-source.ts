import {
  type Alias,
  Composer,
  type CST,
  type Document,
  isAlias,
  isCollection,
  isMap,
  isScalar,
  type Pair,
  Parser,
  type Scalar,
  type YAMLMap,
  type YAMLSeq,
} from "yaml";
import { BootstrapError } from "./bootstrap-error.ts";
import {
  type SourceField,
  type SourceItem,
  type SourceMap,
  type SourceScalar,
  type SourceUse,
  sourceMap,
} from "./source-node.ts";
import { checkTokens, yamlError } from "./yaml-tokens.ts";

/**
 * Reads one YAML document. Scalars stay text: what an unquoted `on` or `0x10` means is Envoy's affair (yaml-cpp's
 * YAML 1.1 and protobuf's field types), and text that isn't interpreted can't be misread.
 * @throws BootstrapError NotYaml, TooLarge, DuplicateField, Unsupported
 */
export function readYaml(text: string): SourceUse {
  const tokens = [...new Parser().parse(text)];
  checkTokens(text, tokens);
  const document = compose(text, tokens);
  return new YamlReader(text).use(document.contents, 0);
}

function compose(text: string, tokens: readonly CST.Token[]): Document.Parsed {
  // prettyErrors would make the library quadratic in the number of errors.
  const composer = new Composer({
    version: "1.1",
    schema: "failsafe",
    merge: false,
    resolveKnownTags: false,
    uniqueKeys: false,
    keepSourceTokens: true,
    prettyErrors: false,
    logLevel: "silent",
  });
  const documents = [...composer.compose(tokens, true, text.length)];
  const [document] = documents;
  if (!document) throw new BootstrapError("NotYaml", "the configuration is empty");
  const [error] = document.errors;
  if (error) throw yamlError(text, error.pos[0], error.message, error);
  return document;
}

/** Turns the library's nodes into ours. Nesting was bounded by checkTokens. */
class YamlReader {
  readonly #text: string;
  /** Null while the anchored value is being read: an alias to it would be a cycle. */
  readonly #anchors = new Map<string, SourceUse | null>();

  constructor(text: string) {
    this.#text = text;
  }

  /** @param at where an empty value would stand */
  use(value: unknown, at: number): SourceUse {
    if (isAlias(value)) return this.#alias(value);
    if (!isScalar(value) && !isCollection(value))
      return { node: { kind: "scalar", text: "", plain: true, tag: "" }, start: at, end: at };
    if (value.anchor) this.#anchors.set(value.anchor, null);
    const use = this.#value(value as Scalar.Parsed | YAMLMap.Parsed | YAMLSeq.Parsed, at);
    if (value.anchor) this.#anchors.set(value.anchor, use);
    return use;
  }

  #alias(alias: Alias): SourceUse {
    const start = alias.srcToken?.offset ?? alias.range?.[0] ?? 0;
    const anchored = this.#anchors.get(alias.source);
    if (!anchored) {
      const problem = anchored === null ? "stands inside the very value that it names" : "names no anchor before it";
      throw yamlError(this.#text, start, `the alias *${alias.source} ${problem}`);
    }
    return { node: anchored.node, start, end: start + 1 + alias.source.length };
  }

  #value(node: Scalar.Parsed | YAMLMap.Parsed | YAMLSeq.Parsed, at: number): SourceUse {
    const start = node.srcToken?.offset ?? node.range?.[0] ?? at;
    const end = node.range?.[1] ?? at;
    if (isScalar(node)) return { node: scalar(node), start, end: Math.max(end, start) };
    if (isMap(node)) return this.#map(node, start, end);
    return this.#list(node, start, end);
  }

  #map(node: YAMLMap.Parsed, start: number, end: number): SourceUse {
    const fields = node.items.map(pair => this.#field(pair));
    const flow = node.flow === true;
    const empty = flow ? start + 1 : start;
    const map: SourceMap = sourceMap(flow ? "flow" : "block", fields, fields[0]?.start ?? empty);
    return { node: map, start, end: flow ? end : (fields.at(-1)?.use.end ?? end) };
  }

  #field(pair: Pair): SourceField {
    const token = pair.srcToken;
    const fallback = token?.key?.offset ?? token?.sep?.[0]?.offset ?? 0;
    const start = token?.start.find(part => !isFiller(part))?.offset ?? fallback;
    const colon = token?.sep?.find(part => part.type === "map-value-ind");
    const key = this.use(pair.key, start);
    if (key.node.kind !== "scalar") {
      throw yamlError(this.#text, start, "a mapping's key must be text, as Envoy's fields have names");
    }
    const after = colon ? colon.offset + 1 : key.end;
    return {
      key: key.node.text,
      ignored: key.node.tag === "!ignore",
      merge: key.node.plain && key.node.text === "<<",
      start,
      colon: colon ? after : null,
      use: this.use(pair.value, after),
    };
  }

  #list(node: YAMLSeq.Parsed, start: number, end: number): SourceUse {
    const flow = node.flow === true;
    const starts = itemStarts(node.srcToken);
    if (starts.length !== node.items.length) {
      throw yamlError(this.#text, start, "this list can't be edited: write one item a line");
    }
    const items: SourceItem[] = node.items.map((item, index) => {
      const itemStart = starts[index] ?? start;
      return { start: itemStart, use: this.use(item, flow ? itemStart : itemStart + 1) };
    });
    const listEnd = flow ? end : (items.at(-1)?.use.end ?? end);
    return { node: { kind: "list", style: flow ? "flow" : "block", items }, start, end: listEnd };
  }
}

export function scalar(node: Scalar): SourceScalar {
  const plain = node.type === "PLAIN" || node.type === undefined;
  return { kind: "scalar", text: String(node.value ?? ""), plain, tag: node.tag ?? "" };
}

function itemStarts(token: YAMLSeq["srcToken"]): readonly number[] {
  if (token?.type === "block-seq") {
    return token.items.flatMap(item => item.start.find(part => part.type === "seq-item-ind")?.offset ?? []);
  }
  if (token?.type !== "flow-collection") return [];
  return token.items.flatMap(item => {
    const first = item.start.find(part => !isFiller(part))?.offset;
    return first ?? item.key?.offset ?? item.sep?.[0]?.offset ?? item.value?.offset ?? [];
  });
}

function isFiller(token: CST.SourceToken): boolean {
  return token.type === "space" || token.type === "newline" || token.type === "comment" || token.type === "comma";
}
