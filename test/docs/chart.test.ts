import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { Ajv } from "ajv";
import { parse } from "yaml";
import { valuesSchema } from "../../docs/chart.ts";
import { chartConstraints } from "../../docs/chart-constraints.ts";
import { chartValues, ownChartValues } from "../../docs/chart-values.ts";
import { createMetrics } from "../../src/observe/metrics.ts";

const read = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), "utf8");

/** Metrics that Prometheus has of every target. */
const FOREIGN_METRICS = ["up"];

interface Alert {
  readonly alert: string;
  readonly expr: string;
  readonly for: string;
  readonly labels: { readonly severity: string };
  readonly annotations: { readonly summary: string };
}

describe("the chart's values", () => {
  const text = read("charts/wasmount/values.yaml");
  const values = ownChartValues();

  it("are each described, in a sentence", () => {
    for (const { path, description } of values) assert.match(description, /^\S.*[^.\s]\.?$/s, path);
    const described = text.match(/^ *# -- /gm)?.length;
    assert.equal(values.length, described, "a description stands before something else than a value");
  });

  it("are each bounded, and nothing else is", () => {
    assert.deepEqual(values.map(({ path }) => path).sort(), Object.keys(chartConstraints).sort());
    const validate = new Ajv({ allErrors: true, strict: false }).compile(valuesSchema(values));
    assert.ok(validate(parse(text)), JSON.stringify(validate.errors));
  });

  it("are refused where they are not documented", () => {
    assert.throws(() => chartValues("a: 1\n"), /doesn't say what a means/);
    assert.throws(() => chartValues("a:\n  # -- One.\n  b: 1\n  c: 2\n"), /doesn't say what a\.c means/);
    assert.throws(() => valuesSchema([{ path: "a", description: "one", fallback: 1 }]), /what a may be/);
    assert.throws(() => valuesSchema(values.slice(1)), /values\.yaml has no image\.repository/);
  });

  it("are read with their descriptions, of several lines and before first keys", () => {
    assert.deepEqual(chartValues("# About the file.\n\n# -- One\n# more.\na: 1\nb:\n  # -- Two.\n  c: {}\n"), [
      { path: "a", description: "One more.", fallback: 1 },
      { path: "b.c", description: "Two.", fallback: {} },
    ]);
  });
});

describe("the alerts", () => {
  const { groups } = parse(read("charts/wasmount/files/alerts.yaml"));
  const alerts: readonly Alert[] = groups.flatMap(({ rules }: { readonly rules: readonly Alert[] }) => rules);
  const runbook = read("docs/runbook.md");

  it("have a section of the runbook each, and the runbook has no other", () => {
    const sections = [...runbook.matchAll(/^## (Wasmount\w+)$/gm)].map(([, name]) => name);
    assert.deepEqual(sections.sort(), alerts.map(({ alert }) => alert).sort());
  });

  it("go by metrics that the webhook has", async () => {
    const { text } = await createMetrics().expose();
    const exposed = new Set([...text.matchAll(/^# HELP (\w+)/gm)].map(([, name = ""]) => name));
    const known = new Set([...exposed, ...FOREIGN_METRICS]);
    for (const { alert, expr } of alerts) {
      const used = [...expr.matchAll(/\b(wasmount_\w+|up)\b/g)].map(([, name = ""]) => name.replace(/_bucket$/, ""));
      assert.ok(used.length > 0, alert);
      for (const name of used) assert.ok(known.has(name), `${alert} goes by ${name}, which there is not`);
    }
  });

  it("wait before they fire, and say how grave they are", () => {
    for (const { alert, labels, annotations, ...rest } of alerts) {
      assert.match(rest.for, /^[0-9]+m$/, alert);
      assert.match(labels.severity, /^(critical|warning|info)$/, alert);
      assert.match(annotations.summary, /\.$/, alert);
    }
  });
});
