import { samplePod } from "../admission/pods.ts";
import { assertDenied, describeAttacks, fetcherOf, validate, variable } from "./attacks.ts";
import { injected, type RawPod, verifying } from "./injected-pod.ts";

describe("validation of the fetcher", () => {
  describe("denies a pod whose fetcher", () => {
    const moved = (pod: RawPod) => pod.spec.initContainers.unshift({ name: "redirect", image: "x" });
    describeAttacks([
      ["was removed", pod => pod.spec.initContainers.shift(), "FetcherMissing", /no init container wasmount-fetch/],
      [
        "is no init container any more",
        pod => pod.spec.containers.push(pod.spec.initContainers.shift()),
        "FetcherMissing",
        /no init/,
      ],
      [
        "runs after another init container",
        moved,
        "FetcherNotFirst",
        /initContainers\[1\] is wasmount-fetch, after redirect/,
      ],
      [
        "has a double",
        pod => pod.spec.initContainers.push({ ...fetcherOf(pod), image: "evil" }),
        "FetcherAltered",
        /\[1\] is a second/,
      ],
    ]);

    const members: [name: string, value: unknown, place?: string][] = [
      ["image", "registry.example/evil:1"],
      ["imagePullPolicy", "Never"],
      ["command", ["/bin/true"]],
      ["args", ["fetch", "--help"], "args[1]"],
      ["args", []],
      ["workingDir", "/tmp"],
      ["envFrom", [{ configMapRef: { name: "mine" } }]],
      ["lifecycle", { postStart: { exec: { command: ["true"] } } }],
      ["livenessProbe", { exec: { command: ["true"] } }],
      ["startupProbe", { exec: { command: ["true"] } }],
      ["ports", [{ containerPort: 80 }]],
      ["volumeDevices", [{ name: "disk", devicePath: "/dev/x" }]],
      ["restartPolicy", "Always"],
      ["stdin", true],
      ["tty", true],
      ["terminationMessagePath", "/wasmount/blobs"],
      ["terminationMessagePolicy", "File"],
      ["securityContext", { runAsUser: 0 }, "securityContext.runAsUser"],
      ["resources", { claims: [{ name: "device" }] }],
    ];
    describeAttacks(
      members.map(([name, value, place = name]) => [
        `has another ${place}`,
        pod => {
          fetcherOf(pod)[name] = value;
        },
        "FetcherAltered",
        new RegExp(`^its ${place.replaceAll(/[[\].]/g, "\\$&")}`),
      ]),
    );

    describeAttacks([
      [
        "has a capability",
        pod => (fetcherOf(pod).securityContext.capabilities.add = ["SYS_PTRACE"]),
        "FetcherAltered",
        /securityContext\.capabilities\.add/,
      ],
      [
        "may write elsewhere",
        pod => fetcherOf(pod).volumeMounts.push({ name: "config", mountPath: "/x" }),
        "FetcherAltered",
        /volumeMounts\[3\]/,
      ],
      [
        "gets an API token",
        pod => fetcherOf(pod).volumeMounts.splice(1, 1),
        "FetcherAltered",
        /volumeMounts\[1\]\.name/,
      ],
      [
        "has more memory than admission gave it",
        pod => (fetcherOf(pod).resources.limits.memory = "8Gi"),
        "FetcherAltered",
        /resources\.limits\.memory/,
      ],
      ["is not labelled", pod => delete pod.metadata.labels, "FetcherAltered", /label/],
      [
        "is not known to the policies",
        pod => delete pod.metadata.labels["wasmount.dev/injected"],
        "FetcherAltered",
        /label wasmount\.dev\/injected/,
      ],
      [
        "is labelled with another plan",
        pod => (pod.metadata.labels["wasmount.dev/plan"] = "0123456789ab"),
        "FetcherAltered",
        /label wasmount\.dev\/plan/,
      ],
      [
        "is said to do something else",
        pod => (pod.metadata.annotations["wasmount.dev/status"] = "{}"),
        "FetcherAltered",
        /annotation wasmount\.dev\/status/,
      ],
    ]);
  });

  describe("denies an environment of the fetcher", () => {
    const add = (name: string, value: string) => (pod: RawPod) => fetcherOf(pod).env.push({ name, value });
    describeAttacks([
      [
        "with another variable",
        add("NODE_OPTIONS", "--require=/wasmount/x.js"),
        "FetcherAltered",
        /env\[3\] sets NODE_OPTIONS$/,
      ],
      ["with a library to load", add("LD_PRELOAD", "/wasmount/x.so"), "FetcherAltered", /LD_PRELOAD/],
      [
        "with a variable twice, of which the kubelet takes the last",
        add("WASMOUNT_PLAN_0", "eA=="),
        "FetcherAltered",
        /sets WASMOUNT_PLAN_0 again/,
      ],
      ["with a part behind a gap", add("WASMOUNT_PLAN_7", "eA=="), "FetcherAltered", /WASMOUNT_PLAN_7/],
      [
        "from elsewhere",
        pod =>
          Object.assign(variable(pod, "WASMOUNT_PLAN_0"), {
            value: undefined,
            valueFrom: { configMapKeyRef: { name: "m", key: "k" } },
          }),
        "FetcherAltered",
        /value of WASMOUNT_PLAN_0/,
      ],
      [
        "with a value and a source",
        pod =>
          Object.assign(variable(pod, "WASMOUNT_PLAN_0"), { valueFrom: { configMapKeyRef: { name: "m", key: "k" } } }),
        "FetcherAltered",
        /value of WASMOUNT_PLAN_0/,
      ],
      [
        "that the kubelet expands",
        pod => (variable(pod, "WASMOUNT_PLAN_0").value += "$(WASMOUNT_PLAN_SHA256)"),
        "FetcherAltered",
        /value of WASMOUNT_PLAN_0/,
      ],
      ["without plan", pod => (fetcherOf(pod).env = []), "PlanForged", /no plan in the environment/],
      [
        "with another hash",
        pod => (variable(pod, "WASMOUNT_PLAN_SHA256").value = "0".repeat(64)),
        "PlanForged",
        /hash is/,
      ],
      ["without signature", pod => fetcherOf(pod).env.pop(), "PlanForged", /signed by key ""/],
    ]);

    it("with a signature that nobody looks at", async () => {
      const pod = await injected(samplePod());
      assertDenied(
        validate(pod, undefined, { ...verifying, keys: null }),
        "FetcherAltered",
        /sets WASMOUNT_PLAN_SIGNATURE/,
      );
    });
  });
});
