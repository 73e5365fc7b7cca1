import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { ClusterError } from "./error.ts";
import { givenKubeconfig } from "./given.ts";

const file = fileURLToPath(import.meta.url);

describe("the cluster of one's own choice", () => {
  it("is none unless it is asked for, whatever kubectl would use", () => {
    assert.equal(givenKubeconfig({ KUBECONFIG: file }), null);
    assert.equal(givenKubeconfig({ WASMOUNT_KUBECONFIG: "" }), null);
  });

  it("is that of a file, or kubectl's own", () => {
    assert.equal(givenKubeconfig({ WASMOUNT_KUBECONFIG: file }), file);
    assert.equal(givenKubeconfig({ WASMOUNT_KUBECONFIG: "current", KUBECONFIG: `:${file}:` }), file);
  });

  it("must be there, and one", () => {
    const cases: readonly [NodeJS.ProcessEnv, RegExp][] = [
      [{ WASMOUNT_KUBECONFIG: "/nowhere" }, /there is no file \/nowhere/],
      [{ WASMOUNT_KUBECONFIG: "current", HOME: "/nowhere" }, /there is no file \/nowhere\/\.kube\/config/],
      [{ WASMOUNT_KUBECONFIG: "current", KUBECONFIG: `${file}:${file}` }, /names 2 files/],
    ];
    for (const [environment, message] of cases) {
      assert.throws(
        () => givenKubeconfig(environment),
        error => error instanceof ClusterError && error.code === "NoKubeconfig" && message.test(error.message),
      );
    }
  });
});
