import { readFileSync } from "node:fs";
import type { Pod } from "../../src/kube/pod.ts";

/** Pods that Kuma's own injector made, by how it was asked: test/fixtures/kuma/README.md. */
export const kumaPods = JSON.parse(
  readFileSync(new URL("../fixtures/kuma/pods.json", import.meta.url), "utf8"),
) as Readonly<Record<"native" | "classic" | "native under CNI" | "with a ConfigMap", Pod>>;
