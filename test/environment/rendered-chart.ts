import { parse } from "yaml";
import type { Manifest } from "./stage.ts";

/** The chart's manifests, to be looked into by short addresses. */
export class RenderedChart {
  readonly manifests: readonly Manifest[];

  constructor(manifests: readonly Manifest[]) {
    this.manifests = manifests;
  }

  /** An object by "Kind/name", or undefined. @throws Error where there are two of it */
  find(address: string): Manifest {
    const [kind, name] = address.split("/");
    const found = this.manifests.filter(manifest => manifest.kind === kind && manifest.metadata.name === name);
    if (found.length > 1) throw new Error(`there are ${found.length} of ${address}`);
    return found[0];
  }

  /** The webhook's configuration, as it reads it. */
  get configuration(): Manifest {
    return parse(this.find("ConfigMap/wasmount-config").data["wasmount.yaml"]);
  }

  /**
   * What stands at a place, or undefined: "Deployment/wasmount-webhook spec.replicas", "configuration fetcher.image" for
   * the webhook's configuration, "Kind/name" alone for whether it is there at all.
   */
  at(place: string): unknown {
    const [address = "", path] = place.split(" ");
    const isConfiguration = address === "configuration";
    const object = isConfiguration ? this.configuration : this.find(address);
    if (path === undefined) return isConfiguration ? object : object !== undefined;
    return path.split(".").reduce((value: Manifest, member) => value?.[member], object);
  }
}
