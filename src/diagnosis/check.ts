import type { DataPlane } from "../dataplanes/data-plane.ts";
import type { ClusterView } from "./cluster-view.ts";
import type { Finding } from "./finding.ts";
import type { Installation } from "./installation.ts";

/** What a check looks at. */
export interface Patient {
  readonly cluster: ClusterView;
  readonly installation: Installation;
  readonly dataPlanes: readonly DataPlane[];
  /** Where a pod is tried, and not kept. */
  readonly namespace: string;
  /** Of this command line. */
  readonly version: string;
}

/** One of the things that `wasmount doctor` looks at. */
export interface Check {
  /** For people: "the registration". */
  readonly name: string;
  /** @returns nothing where all is well @throws DiagnosisError where it can't be told */
  run(patient: Patient): Promise<readonly Finding[]>;
}
