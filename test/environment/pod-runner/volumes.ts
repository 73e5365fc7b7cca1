import { mkdir, rename, symlink, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Container, Pod, Volume, VolumeMount } from "../../../src/kube/pod.ts";

/** ConfigMaps by name: file name to content. */
export type ConfigMaps = Readonly<Record<string, Readonly<Record<string, string>>>>;

/**
 * A pod's volumes as folders, and its mounts as links to them. Without a mount namespace a mount can only be made where
 * the runner may create files, so every mount path lies below `root`; an empty volume mounted elsewhere needs no link,
 * since nothing is in it.
 */
export class PodVolumes {
  readonly #root: string;
  readonly #folders = new Map<string, string>();
  readonly #fixed = new Set<string>();

  constructor(root: string) {
    this.#root = root;
  }

  async create(pod: Pod, configMaps: ConfigMaps): Promise<void> {
    for (const volume of pod.spec.volumes ?? []) {
      const folder = join(this.#root, ".volumes", volume.name);
      await mkdir(folder, { recursive: true });
      this.#folders.set(volume.name, folder);
      await this.#fill(volume, folder, configMaps);
    }
  }

  /** Makes a container's mounts, in place of those of the container before it. */
  async mount(container: Container): Promise<void> {
    for (const mount of container.volumeMounts ?? []) {
      if (!mount.mountPath.startsWith(`${this.#root}/`)) {
        if (this.#fixed.has(mount.name))
          throw new Error(`can't map the mount at ${mount.mountPath}: it lies outside ${this.#root}`);
        continue;
      }
      await mkdir(dirname(mount.mountPath), { recursive: true });
      // A rename replaces the link of an earlier container with the same path.
      await symlink(this.#target(mount), `${mount.mountPath}.next`);
      await rename(`${mount.mountPath}.next`, mount.mountPath);
    }
  }

  #target(mount: VolumeMount): string {
    const folder = this.#folders.get(mount.name);
    if (folder === undefined) throw new Error(`the pod has no volume ${mount.name}`);
    return mount.subPath === undefined ? folder : join(folder, mount.subPath);
  }

  /** A ConfigMap volume has the shape that the kubelet gives it: files are links into a dated folder. */
  async #fill(volume: Volume, folder: string, configMaps: ConfigMaps): Promise<void> {
    if ("emptyDir" in volume) return;
    this.#fixed.add(volume.name);
    const source = volume["configMap"] as { name?: string } | undefined;
    const files = source?.name === undefined ? undefined : configMaps[source.name];
    if (files === undefined)
      throw new Error(`volume ${volume.name} is of a kind that can't be run here, or its ConfigMap is missing`);
    await mkdir(join(folder, "..2026_01_01"));
    await symlink("..2026_01_01", join(folder, "..data"));
    for (const [name, content] of Object.entries(files)) {
      await writeFile(join(folder, "..2026_01_01", name), content, { mode: 0o444 });
      await symlink(join("..data", name), join(folder, name));
    }
  }
}
