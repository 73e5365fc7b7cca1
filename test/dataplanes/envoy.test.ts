import assert from "node:assert/strict";
import type { Attachment, ProxyContainer, ProxyWishes } from "../../src/dataplanes/data-plane.ts";
import { envoyDataPlane } from "../../src/dataplanes/envoy.ts";
import type { OrRefusal } from "../../src/decision/refusal.ts";
import type { Container, Pod } from "../../src/kube/pod.ts";
import { samplePod } from "../admission/pods.ts";
import { filterIn } from "./filters.ts";
import { granted, refused } from "./outcome.ts";

const none: ProxyWishes = { proxyContainer: null, proxyConfig: null, tcpAllowed: false };
const root = "/wasmount";
const config = { name: "config", mountPath: "/etc/envoy", readOnly: true };

function find(pod: Pod, wishes = none): OrRefusal<ProxyContainer> {
  return envoyDataPlane.find(pod, wishes);
}

function attach(pod: Pod, wishes = none): OrRefusal<Attachment> {
  return envoyDataPlane.attach(pod, granted(find(pod, { ...wishes, proxyContainer: "envoy" })), wishes, {
    root,
    filters: ["in-last-01"].map(slot => filterIn(slot)),
    locked: false,
  });
}

function withContainers(...containers: Container[]): Pod {
  return { metadata: {}, spec: { containers } };
}

describe("plain Envoy: finding the proxy", () => {
  it("knows the container by its name", () => {
    for (const name of ["envoy", "envoy-proxy", "envoy-sidecar"]) {
      assert.equal(granted(find(withContainers({ name: "app" }, { name, image: "any" }))).container.name, name);
    }
  });

  it("knows it by image or command", () => {
    const byImage = { name: "p", image: "registry.example:5000/mirror/envoyproxy/envoy-distroless:v1.33.2@sha256:aa" };
    assert.equal(granted(find(withContainers({ name: "app", image: "app" }, byImage))).index, 1);
    assert.equal(granted(find(withContainers({ name: "p", command: ["/usr/local/bin/envoy"] }))).index, 0);
  });

  it("takes no image for a proxy only because its name starts with envoy", () => {
    const pod = withContainers({ name: "app", image: "registry.example/envoy-gateway:v1.2" }, { name: "envoy" });
    assert.equal(granted(find(pod)).container.name, "envoy");
  });

  it("finds a native sidecar, not another init container", () => {
    const sidecar = { name: "envoy", restartPolicy: "Always" };
    const pod = { metadata: {}, spec: { containers: [{ name: "app" }], initContainers: [{ name: "init" }, sidecar] } };
    const { list, index } = granted(find(pod));
    assert.deepEqual([list, index], ["initContainers", 1]);
    refused(
      find({ ...pod, spec: { ...pod.spec, initContainers: [{ name: "envoy" }] } }),
      "ProxyNotFound",
      /the pod has app/,
    );
  });

  it("follows the author's word", () => {
    const pod = withContainers({ name: "one" }, { name: "envoy" });
    assert.equal(granted(find(pod, { ...none, proxyContainer: "one" })).container.name, "one");
    refused(find(pod, { ...none, proxyContainer: "two" }), "ProxyNotFound", /names two; the pod has one, envoy/);
  });

  it("says what it looked for, and which annotation helps", () => {
    refused(
      find(withContainers({ name: "app" })),
      "ProxyNotFound",
      /container named envoy or .*the pod has app; annotate wasmount\.dev\/proxy-container/,
    );
  });

  it("does not choose between two", () => {
    const pod = withContainers({ name: "envoy" }, { name: "envoy-sidecar" });
    refused(find(pod), "ProxyAmbiguous", /envoy, envoy-sidecar may be it; annotate wasmount\.dev\/proxy-container/);
    const other = withContainers(
      { name: "ingress", image: "envoyproxy/envoy:v1.40.0" },
      { name: "envoy", image: "custom" },
    );
    refused(find(other), "ProxyAmbiguous", /ingress, envoy may be it/);
    assert.equal(granted(find(other, { ...none, proxyContainer: "ingress" })).container.name, "ingress");
  });

  it("refuses a release that came before Wasm", () => {
    refused(
      find(withContainers({ name: "envoy", image: "envoyproxy/envoy:v1.15.5" })),
      "ProxyTooOld",
      /runs Envoy 1\.15, .* 1\.16/,
    );
  });

  it("reads a hostile image name in no time", () => {
    for (const image of [
      `x:1.1-${":1.1-".repeat(100_000)}/envoy`,
      `envoy:${"a-".repeat(100_000)}`,
      `envoy:1.1-${"-".repeat(100_000)}/`,
    ]) {
      assert.equal(granted(find(withContainers({ name: "envoy", image }))).envoyVersion, null);
    }
  });

  const users: [
    title: string,
    proxy: Container["securityContext"],
    pod: Pod["spec"]["securityContext"],
    uid: number,
    gid: number,
  ][] = [
    ["the image's own where nothing is said", undefined, undefined, 101, 101],
    ["the container's", { runAsUser: 1001, runAsGroup: 1002 }, { runAsUser: 1, runAsGroup: 1 }, 1001, 1002],
    ["the pod's", {}, { runAsUser: 2001, runAsGroup: 2002 }, 2001, 2002],
    ["never root", { runAsUser: 0, runAsGroup: 0 }, { runAsUser: 2001 }, 101, 101],
  ];
  for (const [title, securityContext, whole, uid, gid] of users) {
    it(`gives the fetcher a user: ${title}`, () => {
      const { metadata, spec } = samplePod(securityContext ? { proxy: { securityContext } } : {});
      const proxy = granted(find({ metadata, spec: { ...spec, ...(whole && { securityContext: whole }) } }));
      assert.deepEqual([proxy.uid, proxy.gid], [uid, gid]);
    });
  }

  const releases: [image: string, release: string | null][] = [
    ["docker.io/envoyproxy/envoy:v1.33.2", "1.33"],
    ["envoyproxy/envoy:distroless-v1.33-latest", "1.33"],
    ["envoyproxy/envoy-distroless:v1.32.1@sha256:aa", "1.32"],
    ["envoyproxy/envoy:dev", null],
    ["registry.example:5000/envoy", null],
    ["registry.example:5000/envoy-contrib-debug:1.38-latest", "1.38"],
    ["envoy:2024.01.15", null],
    ["envoy-wasm:0.9", null],
    ["envoy-builder:1.38.0", null],
    ["registry.example:1.40/other:v1.33.0", null],
  ];
  for (const [image, release] of releases) {
    it(`reads the release ${release} from ${image}`, () => {
      assert.equal(granted(find(withContainers({ name: "envoy", image }))).envoyVersion, release);
    });
  }
});

describe("plain Envoy: attaching", () => {
  it("points -c at the edited copy and leaves the author's mount", () => {
    const { bootstrap, fetcherMounts, proxy } = granted(attach(samplePod()));
    assert.deepEqual(bootstrap, {
      source: "/wasmount-source/envoy.yaml",
      target: "/wasmount/bootstrap/etc/envoy/envoy.yaml",
      copy: null,
    });
    assert.deepEqual(fetcherMounts, [{ name: "config", mountPath: "/wasmount-source", readOnly: true }]);
    assert.deepEqual(proxy.args, ["-c", "/wasmount/bootstrap/etc/envoy/envoy.yaml"]);
    assert.deepEqual(proxy.mounts, []);
  });

  it("rewrites --config-path where it stands, in command or args, and nothing else", () => {
    const command = ["envoy", "--log-level", "info", "--config-path", "/etc/envoy/sub/e.json", "-l", "x"];
    const { proxy, bootstrap } = granted(attach(samplePod({ proxy: { command, args: ["--concurrency", "1"] } })));
    assert.deepEqual(proxy.command, [
      "envoy",
      "--log-level",
      "info",
      "--config-path",
      "/wasmount/bootstrap/etc/envoy/sub/e.json",
      "-l",
      "x",
    ]);
    assert.equal(bootstrap?.source, "/wasmount-source/sub/e.json");
  });

  it("swaps the mount where the path is implicit, and has the rest of it copied", () => {
    const { args: _, ...implicit } = { ...samplePod().spec.containers[1] } as Container;
    const pod = samplePod();
    const bare: Pod = { ...pod, spec: { ...pod.spec, containers: [{ name: "app" }, implicit] } };
    const { bootstrap, proxy } = granted(attach(bare));
    assert.deepEqual(bootstrap, {
      source: "/wasmount-source/envoy.yaml",
      target: "/wasmount/bootstrap/etc/envoy/envoy.yaml",
      copy: { from: "/wasmount-source", to: "/wasmount/bootstrap/etc/envoy" },
    });
    assert.deepEqual(proxy, {
      mounts: [{ name: "wasmount", mountPath: "/etc/envoy", readOnly: true, subPath: "bootstrap/etc/envoy" }],
    });
  });

  it("mounts a single file as a single file", () => {
    const volumeMounts = [{ name: "config", mountPath: "/srv/e.yaml", subPath: "envoy.yaml" }];
    const { bootstrap, fetcherMounts } = granted(
      attach(samplePod({ proxy: { args: ["-c", "/srv/e.yaml"], volumeMounts } })),
    );
    assert.deepEqual(fetcherMounts, [
      { name: "config", mountPath: "/wasmount-source/e.yaml", readOnly: true, subPath: "envoy.yaml" },
    ]);
    assert.equal(bootstrap?.source, "/wasmount-source/e.yaml");
  });

  it("takes the author's path where a shell hides it, and swaps the mount", () => {
    const shell = { command: ["sh", "-c", "exec envoy -c /etc/envoy/envoy.yaml"], args: null };
    refused(attach(samplePod({ proxy: shell })), "ProxyConfigUnknown", /wasmount\.dev\/proxy-config/);
    const { proxy } = granted(attach(samplePod({ proxy: shell }), { ...none, proxyConfig: "/etc/envoy/envoy.yaml" }));
    assert.equal(proxy.mounts[0]?.subPath, "bootstrap/etc/envoy");
    assert.equal(proxy.command, undefined);
  });

  it("refuses a configuration on the command line", () => {
    const args = ["--config-yaml", "static_resources: {listeners: []}"];
    refused(attach(samplePod({ proxy: { args } })), "ProxyConfigInline", /container envoy/);
  });

  it("refuses inline configuration whose variables may hold listeners", () => {
    const args = ["-c", "/etc/envoy/envoy.yaml", "--config-yaml", "admin: $(ADMIN)"];
    refused(attach(samplePod({ proxy: { args } })), "ProxyConfigInline", /variables/);
  });

  it("presumes the default path of official images only", () => {
    const proxy = { args: null, image: "registry.example/our/sidecar:1" };
    refused(attach(samplePod({ proxy })), "ProxyConfigUnknown", /only official images .*wasmount\.dev\/proxy-config/);
    const { proxy: changes } = granted(attach(samplePod({ proxy }), { ...none, proxyConfig: "/etc/envoy/envoy.yaml" }));
    assert.equal(changes.mounts[0]?.subPath, "bootstrap/etc/envoy");
  });

  it("refuses an annotation that contradicts the command line, and takes one that agrees", () => {
    refused(
      attach(samplePod(), { ...none, proxyConfig: "/etc/envoy/other.yaml" }),
      "BadValue",
      /says \/etc\/envoy\/other\.yaml, .*\/etc\/envoy\/envoy\.yaml/,
    );
    granted(attach(samplePod(), { ...none, proxyConfig: "/etc//envoy/envoy.yaml" }));
  });

  it("refuses paths that no edited copy could stand for", () => {
    refused(attach(samplePod({ proxy: { args: ["-c", "/etc/envoy/a$b.yaml"] } })), "ProxyConfigUnsupported", /\$/);
    refused(attach(samplePod({ proxy: { args: ["-c", "/etc/envoy/e.pb"] } })), "ProxyConfigUnsupported", /protobuf/);
  });

  it("refuses a configuration that comes with the image", () => {
    refused(
      attach(samplePod({ proxy: { volumeMounts: [] } })),
      "ProxyConfigNotMounted",
      /no volume over \/etc\/envoy\/envoy\.yaml/,
    );
  });

  const emptyAtFirst = {
    emptyDir: { name: "config", emptyDir: {} },
    ephemeral: { name: "config", ephemeral: { volumeClaimTemplate: { spec: {} } } },
    "no such volume": { name: "other", configMap: { name: "envoy" } },
  };
  for (const [kind, volume] of Object.entries(emptyAtFirst)) {
    it(`refuses a volume that is still empty when the fetcher runs: ${kind}`, () => {
      refused(
        attach(samplePod({ spec: { volumes: [volume], containers: samplePod().spec.containers } })),
        "ProxyConfigUnsupported",
        /still empty/,
      );
    });
  }

  it("refuses subPathExpr", () => {
    const volumeMounts = [{ ...config, subPathExpr: "$(POD)" }];
    refused(attach(samplePod({ proxy: { volumeMounts } })), "ProxyConfigUnsupported", /subPathExpr/);
  });

  for (const mountPath of ["/wasmount", "/wasmount/filters", "/x/../wasmount/bootstrap", "/wasmount//"]) {
    it(`refuses a mount at ${mountPath}, which would hide what the fetcher wrote`, () => {
      const volumeMounts = [config, { name: "other", mountPath }];
      refused(attach(samplePod({ proxy: { volumeMounts } })), "MountShadowed", /mounts volume other at/);
    });
  }

  it("refuses to swap a mount that another one lies in", () => {
    const volumeMounts = [config, { name: "certs", mountPath: "/etc/envoy/certs" }];
    refused(
      attach(samplePod({ proxy: { volumeMounts, args: null } })),
      "ProxyConfigUnsupported",
      /\/etc\/envoy\/certs lies below/,
    );
  });

  it("refuses to swap a mount that our own volume lies in", () => {
    const volumeMounts = [{ ...config, mountPath: "/" }];
    refused(
      attach(samplePod({ proxy: { volumeMounts, args: null } })),
      "ProxyConfigUnsupported",
      /^the mount at \/ must be swapped, and \/wasmount lies below it: name the configuration with -c/,
    );
  });

  it("finds in a second pass what it found in the first", () => {
    for (const proxy of [{}, { args: null }] as Partial<Container>[]) {
      const pod = samplePod({ proxy });
      const first = granted(attach(pod));
      const [app, envoy] = pod.spec.containers as [Container, Container];
      const mounted = (envoy.volumeMounts ?? []).map(
        mount => first.proxy.mounts.find(({ mountPath }) => mountPath === mount.mountPath) ?? mount,
      );
      const ours = { name: "wasmount", mountPath: root, readOnly: true };
      const patched: Pod = {
        ...pod,
        spec: {
          ...pod.spec,
          containers: [
            app,
            { ...envoy, ...(first.proxy.args && { args: first.proxy.args }), volumeMounts: [...mounted, ours] },
          ],
          initContainers: [{ name: "wasmount-fetch", volumeMounts: first.fetcherMounts }],
        },
      };
      assert.deepEqual(granted(attach(patched)), first);
    }
  });
});
