import { readFileSync } from "node:fs";
import type { Pod } from "../../src/kube/pod.ts";

/** Pods that Consul's own webhook made, by how it was asked: test/fixtures/consul/README.md. */
export const consulPods = JSON.parse(
  readFileSync(new URL("../fixtures/consul/pods.json", import.meta.url), "utf8"),
) as Readonly<
  Record<"classic" | "native" | "under CNI" | "with ACLs" | "without transparent proxy" | "several services", Pod>
>;
