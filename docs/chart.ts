import { readFileSync } from "node:fs";
import { stringify } from "yaml";
import { chartConstraints } from "./chart-constraints.ts";
import { type ChartValue, ownChartValues } from "./chart-values.ts";

interface ObjectSchema {
  readonly type: "object";
  readonly additionalProperties: false;
  readonly properties: Record<string, object>;
}

const open = (): ObjectSchema => ({ type: "object", additionalProperties: false, properties: {} });

/**
 * values.schema.json: constraints from the code, descriptions and defaults from values.yaml.
 * @throws Error for a value without constraint, and for a constraint without value
 */
export function valuesSchema(values: readonly ChartValue[]): object {
  const root = open();
  const left = new Set(Object.keys(chartConstraints));
  for (const { path, description, fallback } of values) {
    const constraint = chartConstraints[path];
    if (!constraint) throw new Error(`chart-constraints.ts doesn't say what ${path} may be`);
    left.delete(path);
    const [last = "", ...sections] = path.split(".").reverse();
    let place = root;
    for (const section of sections.reverse()) {
      place.properties[section] ??= open();
      place = place.properties[section] as ObjectSchema;
    }
    place.properties[last] = { description, ...constraint, default: fallback };
  }
  if (left.size > 0) throw new Error(`values.yaml has no ${[...left].join(", ")}`);
  // Helm gives charts that are used as parts of others this one.
  root.properties["global"] = { type: "object", description: "Values of a chart that wasmount's is a part of." };
  return { $schema: "http://json-schema.org/draft-07/schema#", title: "Values of the chart wasmount", ...root };
}

/** The chart's README: how it is installed, and what its values mean. */
export function chartPage(values: readonly ChartValue[]): string {
  const rows = values.map(
    ({ path, description, fallback }) => `| \`${path}\` | ${inTable(description)} | ${shown(fallback)} |`,
  );
  return `<!-- Written by \`npm run docs\` from values.yaml. -->
# wasmount

Puts verified WebAssembly filters into Envoy sidecars. One release a cluster: labels, registrations and definitions are the
cluster's, whatever the release is called.

\`\`\`
helm install wasmount charts/wasmount --namespace wasmount-system --create-namespace --wait
helm test wasmount --namespace wasmount-system
\`\`\`

Installing, upgrading, other tools than Helm, clouds and uninstalling: [docs/install.md](../../docs/install.md). What
production wants: [docs/production.md](../../docs/production.md).

Values are checked against values.schema.json: a misspelt one is refused. Those that contradict each other are refused with
what would be right.

| value | means | default |
|---|---|---|
${rows.join("\n")}
`;
}

function inTable(text: string): string {
  return text.replaceAll("|", "\\|").replaceAll("<", "&lt;");
}

function shown(fallback: unknown): string {
  if (fallback === "") return "";
  const text = typeof fallback === "string" ? fallback : JSON.stringify(fallback);
  return `\`${text.replaceAll("|", "\\|")}\``;
}

const file = (name: string) => readFileSync(new URL(`../charts/wasmount/${name}`, import.meta.url), "utf8");

/** Chart.yaml, whose versions are the product's. */
export function chartMetadata(version: string): string {
  return file("Chart.yaml")
    .replace(/^version: .*$/m, `version: ${version}`)
    .replace(/^appVersion: .*$/m, stringify({ appVersion: version }).trimEnd());
}

export const chartFiles: Readonly<Record<string, () => string>> = {
  "charts/wasmount/README.md": () => chartPage(ownChartValues()),
  "charts/wasmount/values.schema.json": () => `${JSON.stringify(valuesSchema(ownChartValues()), null, 2)}\n`,
};
