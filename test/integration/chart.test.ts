import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { stringify } from "yaml";
import { ownChartValues } from "../../docs/chart-values.ts";
import { parseConfig } from "../../src/config/load.ts";
import { configSchema } from "../../src/config/schema.ts";
import { findGo } from "../environment/cluster/go.ts";
import { chartFolder, Helm, HelmError, manifestsOf } from "../environment/helm.ts";
import { installationFile, renderedInstallation } from "../environment/installation.ts";
import { RenderedChart } from "../environment/rendered-chart.ts";
import { unavailable } from "../environment/requirement.ts";
import { shownBySet } from "./chart-values.ts";

const sets = readdirSync(join(chartFolder, "ci")).map(name => name.replace(/\.yaml$/, ""));
const setFile = (set: string) => join(chartFolder, "ci", `${set}.yaml`);

/** Values that contradict each other, and what is said to them. */
const contradictions: readonly (readonly [values: object, sentence: RegExp])[] = [
  [
    { certificates: { provided: { secretName: "a" } } },
    /certificates\.provided is set, but certificates\.mode is self/,
  ],
  [
    { certificates: { mode: "certManager", provided: { secretName: "a" } } },
    /certificates\.provided is set, but certificates\.mode is certManager: write mode provided, or leave it out/,
  ],
  [{ certificates: { mode: "provided" } }, /name the Secret with the certificate, certificates\.provided\.secretName/],
  [{ certificates: { certManager: { issuerRef: { name: "a" } } } }, /issuerRef is set, but certificates\.mode is self/],
  [
    { plan: { sign: false, provided: { secretName: "a" } } },
    /plan\.provided\.secretName is set, but plan\.sign is false/,
  ],
  [
    { autoscaling: { enabled: true, minReplicas: 6, maxReplicas: 5 } },
    /autoscaling\.minReplicas is 6, more than maxReplicas, 5/,
  ],
  [{ podDisruptionBudget: { maxUnavailable: 0 } }, /no node with a replica could be drained/],
  [{ podDisruptionBudget: { maxUnavailable: "0%" } }, /no node with a replica could be drained/],
  [{ ports: { admission: 8080 } }, /ports\.admission and ports\.health are both 8080/],
  [{ hostNetwork: true, ports: { admission: 10260 } }, /write ClusterFirstWithHostNet/],
  [{ hostNetwork: true, dnsPolicy: "ClusterFirstWithHostNet" }, /ports\.admission is 10250, which is the kubelet's/],
  [
    {
      hostNetwork: true,
      dnsPolicy: "ClusterFirstWithHostNet",
      ports: { admission: 10260 },
      networkPolicy: { enabled: true, apiServerCidrs: ["10.0.0.0/8"] },
    },
    /where NetworkPolicies do not hold/,
  ],
  [{ dnsPolicy: "ClusterFirstWithHostNet" }, /is for hostNetwork, which is off/],
  [{ webhook: { timeoutSeconds: 4 } }, /webhook\.timeoutSeconds is 4: write at least half a second more than .*, 4\.5/],
  [{ limits: { reviewSeconds: 2 } }, /limits\.resolveSeconds is 2: write less than limits\.reviewSeconds, 2/],
  [
    { listen: { drainSeconds: 60 } },
    /terminationGracePeriodSeconds is 110: write more than listen\.drainSeconds and listen\.lingerSeconds, 60 and 90/,
  ],
  [
    { webhook: { failurePolicy: "Ignore" }, guards: { enabled: false }, policy: { unmatched: "Deny" } },
    /pods would start without their filters while the webhook is down/,
  ],
  [
    { guards: { enabled: false, previousImages: ["a"] } },
    /guards\.previousImages is set, but guards\.enabled is false/,
  ],
  [{ networkPolicy: { enabled: true } }, /needs networkPolicy\.apiServerCidrs: nobody would reach the webhook/],
  [{ networkPolicy: { egress: { enabled: true } } }, /egress\.enabled is set, but networkPolicy\.enabled is false/],
  [
    {
      networkPolicy: { enabled: true, apiServerCidrs: ["10.0.0.0/8"] },
      metrics: { serviceMonitor: { enabled: true } },
    },
    /needs networkPolicy\.metricsNamespaces/,
  ],
  [
    { registries: [{ host: "a.example", ca: "x", caConfigMap: { name: "b" } }] },
    /registries\[0\] \(a\.example\) has ca and caConfigMap/,
  ],
  [
    { registries: [{ host: "a.example", plainHttp: true, clientCertSecret: "b" }] },
    /registries\[0\] \(a\.example\) has plainHttp, so what it says of TLS would mean nothing/,
  ],
  [{ network: { proxy: { credentialsSecret: { name: "a" } } } }, /credentialsSecret is set, but no proxy/],
  [{ serviceAccount: { create: false, annotations: { a: "b" } } }, /serviceAccount\.annotations is set, but/],
  [{ test: { namespace: "kube-system" } }, /test\.namespace is kube-system, which the webhook is never asked about/],
  [{ test: { namespace: "wasmount-system" } }, /test\.namespace is wasmount-system/],
];

/** Values that the schema refuses, and where. */
const misspelt: readonly (readonly [values: object, place: RegExp])[] = [
  [{ replicas: 3 }, /additional properties 'replicas' not allowed/],
  [{ webhook: { failurepolicy: "Fail" } }, /at '\/webhook': additional properties 'failurepolicy' not allowed/],
  [{ image: { digest: "sha256:abc" } }, /at '\/image\/digest'/],
  [{ replicaCount: 0 }, /at '\/replicaCount'/],
  [{ certificates: { mode: "auto" } }, /at '\/certificates\/mode'/],
  [{ webhook: { failurePolicy: "Open" } }, /at '\/webhook\/failurePolicy'/],
  [{ webhook: { timeoutSeconds: 31 } }, /at '\/webhook\/timeoutSeconds'/],
  [{ podDisruptionBudget: { maxUnavailable: "half" } }, /at '\/podDisruptionBudget\/maxUnavailable'/],
  [{ networkPolicy: { apiServerCidrs: ["10.0.0.1"] } }, /at '\/networkPolicy\/apiServerCidrs\/0'/],
  [{ limits: { filters: 100 } }, /at '\/limits\/filters'/],
  [{ limits: { filter: 1 } }, /at '\/limits': additional properties 'filter' not allowed/],
  [{ registries: [{ host: "a.example", insecure: true }] }, /at '\/registries\/0': additional properties 'insecure'/],
  [{ registries: [{ plainHttp: true }] }, /at '\/registries\/0': missing property 'host'/],
  [{ registryCredentials: [{ secret: "a", namespaces: ["b"] }] }, /at '\/registryCredentials\/0'/],
  [{ network: { proxy: { https: "proxy:3128" } } }, /at '\/network\/proxy\/https'/],
  [{ policy: { files: { "../a.yaml": "x" } } }, /'\.\.\/a\.yaml' does not match/],
  [{ log: { level: "trace" } }, /at '\/log\/level'/],
  [{ fetcher: { allowedEnvironment: ["A=B"] } }, /at '\/fetcher\/allowedEnvironment\/0'/],
  [{ terminationGracePeriodSeconds: 601 }, /at '\/terminationGracePeriodSeconds'/],
];

/** In Helm's words. */
function refusalOf(error: unknown): string {
  if (error instanceof HelmError) return error.message;
  throw error;
}

describe("the chart", () => {
  let helm: Helm;
  let folder: string | undefined;
  const rendered = new Map<string, RenderedChart>();
  /** What was said to values that are refused; null where they were not. */
  const refusals = new Map<object, string | null>();

  before(async function () {
    // Sixty renderings, on a machine that may do other things.
    this.timeout(300_000);
    await findGo().catch(error => unavailable(this, error.message));
    helm = await Helm.open(line => console.log(`      ${line}`));
    folder = await mkdtemp(join(tmpdir(), "wasmount-chart-"));
    const renderings = [
      ...sets.map(set => async () => {
        rendered.set(set, new RenderedChart(await helm.template("--values", setFile(set))));
      }),
      ...[...contradictions, ...misspelt].map(([values]) => async () => {
        refusals.set(values, await withValues(values).then(() => null, refusalOf));
      }),
    ];
    // Each takes one process for a moment.
    const worker = async () => {
      for (let next = renderings.pop(); next; next = renderings.pop()) await next();
    };
    await Promise.all([worker(), worker(), worker()]);
  });

  after(async () => {
    if (folder) await rm(folder, { recursive: true });
  });

  let files = 0;

  async function withValues(values: object): Promise<RenderedChart> {
    files += 1;
    const file = join(folder ?? "", `values-${files}.yaml`);
    await writeFile(file, stringify(values));
    return new RenderedChart(await helm.template("--values", file));
  }

  const chartOf = (set: string) => rendered.get(set) as RenderedChart;

  it("is what manifests/install.yaml is (npm run manifests)", async () => {
    assert.equal(await readFile(installationFile, "utf8"), await renderedInstallation(helm));
  });

  it("passes Helm's own checks", async () => {
    await helm.run("lint", chartFolder, "--namespace", "wasmount-system", "--strict");
  });

  it("has each value shown by a set of values", () => {
    assert.deepEqual(Object.keys(shownBySet).sort(), sets.toSorted());
    const shown = new Set(Object.values(shownBySet).flatMap(entries => entries.map(([value]) => value)));
    assert.deepEqual(
      [...shown].sort(),
      ownChartValues()
        .map(({ path }) => path)
        .sort(),
    );
  });

  for (const [set, entries] of Object.entries(shownBySet)) {
    describe(`with the values of ci/${set}.yaml`, () => {
      for (const [value, place, shown] of entries) {
        it(`has ${value} at ${place}`, () => {
          assert.deepEqual(chartOf(set).at(place), shown);
        });
      }

      it("has a configuration that the webhook takes", () => {
        const text = chartOf(set).at("ConfigMap/wasmount-config data") as Record<string, string>;
        parseConfig(text["wasmount.yaml"] ?? "", set);
      });

      it("mounts each file that the configuration names, and nothing else", () => {
        const text = JSON.stringify(chartOf(set).configuration);
        const files = [...text.matchAll(/"(\/etc\/wasmount[^"]*)\/[^"/]+"/g)].map(([, path]) => path);
        const pod = chartOf(set).at("Deployment/wasmount-webhook spec.template.spec") as {
          readonly containers: readonly { readonly volumeMounts: readonly { name: string; mountPath: string }[] }[];
          readonly volumes: readonly { readonly name: string }[];
        };
        const mounts = pod.containers[0]?.volumeMounts ?? [];
        const paths = mounts.map(({ mountPath }) => mountPath);
        assert.deepEqual([...new Set(["/etc/wasmount", ...files])].sort(), paths.toSorted());
        assert.deepEqual(
          mounts.map(({ name }) => name),
          pod.volumes.map(({ name }) => name),
        );
      });

      it("gives each role to an account that is there, and asks for no wildcard", () => {
        const chart = chartOf(set);
        for (const { metadata, rules, roleRef, subjects = [] } of chart.manifests) {
          assert.ok(!roleRef || chart.at(`${roleRef.kind}/${roleRef.name}`), metadata.name);
          for (const { name } of subjects) assert.ok(chart.at(`ServiceAccount/${name}`), name);
          assert.doesNotMatch(JSON.stringify(rules ?? []), /"\*"/, metadata.name);
        }
      });
    });
  }

  it("reaches each setting of the webhook's configuration", () => {
    const set = new Set<string>();
    const walk = (value: unknown, path: string) => {
      set.add(path);
      if (typeof value !== "object" || value === null) return;
      for (const [name, member] of Object.entries(value)) walk(member, Array.isArray(value) ? path : `${path}.${name}`);
    };
    for (const chart of rendered.values()) walk(chart.configuration, "");
    const settings: string[] = [];
    const settingsOf = (schema: object, path: string) => {
      const { properties, items } = schema as { readonly properties?: object; readonly items?: object };
      const members = items && "properties" in items ? (items.properties as object) : properties;
      if (members === undefined) settings.push(path);
      else for (const [name, member] of Object.entries(members)) settingsOf(member, `${path}.${name}`);
    };
    settingsOf(configSchema, "");
    // Quantities of one kind or another.
    const missing = settings.filter(path => !set.has(path) && !/^\.fetcher\.(maxR|r)esources\./.test(path));
    assert.deepEqual(missing, []);
  });

  describe("refuses values that contradict each other", () => {
    for (const [values, sentence] of contradictions) {
      it(JSON.stringify(values), () => assert.match(refusals.get(values) ?? "", sentence));
    }

    it("with all the sentences that it has", async () => {
      const text = await readFile(join(chartFolder, "templates/_contradictions.tpl"), "utf8");
      // What stands before the first word that depends on values.
      const sentences = [...text.matchAll(/fail (?:\(printf )?"([^"%]{10,})/g)].map(([, words = ""]) => words);
      assert.equal(sentences.length, text.split("{{- fail ").length - 1);
      const said = [...refusals.values()].join("\n");
      for (const words of sentences) assert.ok(said.includes(words), words);
    });
  });

  describe("refuses values that its schema doesn't have", () => {
    for (const [values, place] of misspelt) {
      it(JSON.stringify(values), () => assert.match(refusals.get(values) ?? "", place));
    }
  });

  describe("without what others may make", () => {
    it("makes no roles", async () => {
      const chart = await withValues({ rbac: { create: false } });
      const kinds = chart.manifests
        .filter(({ metadata }) => metadata.annotations?.["helm.sh/hook"] === undefined)
        .map(({ kind }) => kind);
      for (const kind of ["ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"]) assert.ok(!kinds.includes(kind));
    });

    it("makes no account", async () => {
      const chart = await withValues({ serviceAccount: { create: false } });
      assert.equal(chart.at("ServiceAccount/wasmount-webhook"), false);
    });
  });

  it("asks nothing before an upgrade where that is turned off", async () => {
    const manifests = await helm.template("--set", "istio.enabled=true,upgrade.hook=false");
    assert.deepEqual(
      manifests.filter(({ metadata }) => metadata.name === "wasmount-before-upgrade"),
      [],
    );
  });

  it("says of each rule of its roles what it is for", async () => {
    const roles = join(chartFolder, "templates/rbac");
    for (const name of readdirSync(roles)) {
      const lines = (await readFile(join(roles, name), "utf8")).split("\n");
      lines.forEach((line, index) => {
        if (/^ {2}- apiGroups:/.test(line)) assert.match(lines[index - 1] ?? "", /^ {2}# /, `${name}:${index + 1}`);
      });
    }
  });

  it("has its objects under the same names in any release and namespace", async () => {
    const names = (text: RenderedChart) =>
      text.manifests.map(({ kind, metadata }) => `${kind}/${metadata.name}`).sort();
    const other = await helm.run("template", "other", chartFolder, "--namespace", "elsewhere");
    assert.doesNotMatch(other.replaceAll(/^ *#.*$/gm, ""), /wasmount-system/);
    assert.match(other, /wasmount-webhook\.elsewhere\.svc\b/);
    assert.deepEqual(names(new RenderedChart(manifestsOf(other))), names(chartOf("default")));
  });
});
