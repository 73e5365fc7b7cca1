import { samplePod } from "../admission/pods.ts";
import { app, assertDenied, assertVerified, describeAttacks, proxy, validate, volume } from "./attacks.ts";
import { injected, type RawPod } from "./injected-pod.ts";

describe("validation of the fetcher's surroundings", () => {
  describe("denies a pod whose volume", () => {
    const mount = { name: "wasmount", mountPath: "/data", readOnly: true };
    const mounts: (place: (pod: RawPod) => RawPod, name?: string) => (pod: RawPod) => void =
      (place, name = "wasmount") =>
      pod => {
        const container = place(pod);
        container.volumeMounts = [...(container.volumeMounts ?? []), { ...mount, name }];
      };
    const later = (pod: RawPod) => {
      pod.spec.initContainers.push({ name: "later", image: "x" });
      return pod.spec.initContainers[1];
    };
    describeAttacks([
      [
        "is on the node's disk",
        pod => Object.assign(volume(pod, "wasmount"), { emptyDir: undefined, hostPath: { path: "/x" } }),
        "VolumeExposed",
        /volume wasmount/,
      ],
      [
        "is shared with other pods",
        pod =>
          Object.assign(volume(pod, "wasmount"), { emptyDir: undefined, persistentVolumeClaim: { claimName: "x" } }),
        "VolumeExposed",
        /volume wasmount/,
      ],
      [
        "takes the node's memory",
        pod => (volume(pod, "wasmount").emptyDir.medium = "Memory"),
        "VolumeExposed",
        /volume wasmount/,
      ],
      ["has no limit", pod => delete volume(pod, "wasmount").emptyDir.sizeLimit, "VolumeExposed", /volume wasmount/],
      [
        "against tokens holds one",
        pod => Object.assign(volume(pod, "wasmount-no-token"), { emptyDir: undefined, projected: {} }),
        "VolumeExposed",
        /volume wasmount-no-token/,
      ],
      ["is mounted by the application", mounts(app), "VolumeExposed", /container app mounts volume wasmount at \/data/],
      ["is mounted by a later init container", mounts(later), "VolumeExposed", /container later mounts/],
      ["is mounted by the proxy a second time", mounts(proxy), "VolumeExposed", /container envoy mounts/],
      ["against tokens is mounted by another", mounts(app, "wasmount-no-token"), "VolumeExposed", /wasmount-no-token/],
      [
        "is mounted by a debugging container",
        pod => (pod.spec.ephemeralContainers = [{ name: "d", volumeMounts: [mount] }]),
        "VolumeExposed",
        /ephemeral/,
      ],
    ]);

    const secret = { ...samplePod().spec, imagePullSecrets: [{ name: "pull" }] };
    describeAttacks(
      [
        [
          "of pull secrets holds another one",
          pod => volume(pod, "wasmount-pull-secrets").projected.sources.pop(),
          "VolumeExposed",
          /wasmount-pull-secrets/,
        ],
        [
          "of pull secrets is mounted by the application",
          mounts(app, "wasmount-pull-secrets"),
          "VolumeExposed",
          /container app/,
        ],
      ],
      samplePod({ spec: secret }),
    );
  });

  describe("denies a pod whose proxy", () => {
    const ours = (pod: RawPod) => proxy(pod).volumeMounts.find((candidate: RawPod) => candidate.name === "wasmount");
    describeAttacks([
      ["lost its mount", pod => proxy(pod).volumeMounts.pop(), "ProxyAltered", /spec\.containers\[1\]\.volumeMounts/],
      [
        "may write",
        pod => delete ours(pod).readOnly,
        "VolumeExposed",
        /container envoy mounts volume wasmount at \/wasmount/,
      ],
      [
        "reads another configuration",
        pod => (proxy(pod).args = ["-c", "/etc/envoy/envoy.yaml"]),
        "ProxyAltered",
        /spec\.containers\[1\]\.args/,
      ],
      [
        "reads a copy that the plan doesn't make",
        pod => {
          proxy(pod).args[1] = "/wasmount/bootstrap/etc/envoy/mine.yaml";
        },
        "PlanForged",
        /about bootstrap\./,
      ],
      [
        "reads another configuration through a copy of its own",
        pod => {
          proxy(pod).args[1] = "/wasmount/bootstrap/etc/envoy/other/../mine.yaml";
        },
        "ProxyAltered",
        /spec\.containers\[1\]\.args/,
      ],
      ["reads no configuration", pod => (proxy(pod).args = ["--version"]), "ProxyConfigUnknown", /without -c/],
      [
        "has a mount in the way",
        pod => proxy(pod).volumeMounts.push({ name: "config", mountPath: "/wasmount/filters" }),
        "MountShadowed",
        /\/wasmount\/filters/,
      ],
      [
        "has a mount in the way, spelled otherwise",
        pod => proxy(pod).volumeMounts.push({ name: "config", mountPath: "/tmp/..//wasmount/./filters/" }),
        "MountShadowed",
        /filters/,
      ],
      [
        "is another one",
        pod => pod.spec.containers.push({ name: "second", image: "envoyproxy/envoy:v1.40.0" }),
        "ProxyAmbiguous",
        /second/,
      ],
      ["went away", pod => pod.spec.containers.pop(), "ProxyNotFound", /looked for/],
    ]);

    describeAttacks(
      [
        [
          "reads its own mount again",
          pod => (proxy(pod).volumeMounts[0] = { name: "config", mountPath: "/etc/envoy", readOnly: true }),
          "ProxyAltered",
          /volumeMounts/,
        ],
      ],
      samplePod({ proxy: { args: null } }),
    );

    it("never came", () => {
      const pod = samplePod({ labels: { "mesh.example/inject": "yes" }, proxy: { name: "other", image: "other" } });
      assertDenied(validate(pod), "ProxyNeverCame", /mesh\.example\/inject=yes/);
    });
  });

  describe("denies shared processes", () => {
    const share = (security: object | undefined, pod: RawPod) => {
      pod.spec.shareProcessNamespace = true;
      if (security) app(pod).securityContext = security;
    };
    const apart = { runAsUser: 1000, allowPrivilegeEscalation: false };
    describeAttacks([
      ["of the node", pod => (pod.spec.hostPID = true), "ProcessesShared", /hostPID/],
      [
        "with a user that isn't known",
        pod => share(undefined, pod),
        "ProcessesShared",
        /container app may run as user 101/,
      ],
      [
        "with the fetcher's user",
        pod => share({ ...apart, runAsUser: 101 }, pod),
        "ProcessesShared",
        /container app runs as user 101/,
      ],
      ["with root", pod => share({ ...apart, runAsUser: 0 }, pod), "ProcessesShared", /container app runs as root/],
      [
        "with who may become root",
        pod => share({ runAsUser: 1000 }, pod),
        "ProcessesShared",
        /allowPrivilegeEscalation/,
      ],
      [
        "with an init container",
        pod => {
          share(apart, pod);
          pod.spec.initContainers.push({ name: "later", image: "x" });
        },
        "ProcessesShared",
        /container later may run as/,
      ],
    ]);

    it("only where they are shared, and not with users that stay apart", async () => {
      const pod = await injected(samplePod());
      share(apart, pod);
      assertVerified(validate(pod));
      const whole = await injected(samplePod({ spec: { ...samplePod().spec, securityContext: { runAsUser: 101 } } }));
      assertVerified(validate(whole));
      whole.spec.shareProcessNamespace = true;
      app(whole).securityContext = { allowPrivilegeEscalation: false };
      assertDenied(validate(whole), "ProcessesShared", /container app runs as user 101/);
    });
  });
});
