import { attempt } from "./command.ts";
import { ClusterError } from "./error.ts";
import { findExecutable, isExecutable } from "./executable.ts";
import type { Progress } from "./progress.ts";

/** What a node takes from the machine. */
export interface NodeTools {
  readonly runc: string;
  /** The folder of the CNI plugins `bridge`, `host-local` and `loopback`. */
  readonly cni: string;
}

/** Debian's folder of CNI plugins, and the upstream one. */
const cniFolders = ["/usr/lib/cni", "/opt/cni/bin"];

/**
 * The machine's runc, CNI plugins, iptables and ip; what is missing is installed from Debian's packages, unless
 * `WASMOUNT_NO_APT` is set.
 * @throws ClusterError PackagesMissing, naming the packages.
 */
export async function nodeTools(progress: Progress): Promise<NodeTools> {
  const missing = await missingPackages();
  if (missing.length > 0) await install(missing, progress);
  const still = await missingPackages();
  const runc = await findExecutable("runc");
  const cni = await cniFolder();
  if (still.length > 0 || !runc || !cni) {
    throw new ClusterError("PackagesMissing", `still missing after installing them: ${still.join(" ")}`);
  }
  return { runc, cni };
}

/** The Debian packages that a node lacks on this machine, and why it can't install them itself; null if it can. */
export async function packagesUnavailable(): Promise<string | null> {
  return notInstallable(await missingPackages());
}

/** Why packages that are missing can't be installed; null if they can, or if there are none. */
export async function notInstallable(missing: readonly string[]): Promise<string | null> {
  if (missing.length === 0) return null;
  const list = `the Debian packages ${missing.join(" ")} are missing`;
  if (process.env["WASMOUNT_NO_APT"]) return `${list}, and WASMOUNT_NO_APT forbids to install them`;
  return (await findExecutable("apt-get")) ? null : `${list}, and there is no apt-get to install them`;
}

async function missingPackages(): Promise<readonly string[]> {
  const present: Readonly<Record<string, unknown>> = {
    runc: await findExecutable("runc"),
    "containernetworking-plugins": await cniFolder(),
    iptables: await findExecutable("iptables"),
    iproute2: await findExecutable("ip"),
    mount: await findExecutable("umount"),
  };
  return Object.keys(present).filter(name => !present[name]);
}

/** Installs Debian packages. @throws ClusterError PackagesMissing */
export async function install(packages: readonly string[], progress: Progress): Promise<void> {
  const refusal = await notInstallable(packages);
  if (refusal) throw new ClusterError("PackagesMissing", `${refusal}: apt-get install ${packages.join(" ")}`);
  progress(`installing the Debian packages ${packages.join(" ")} with apt-get (WASMOUNT_NO_APT=1 forbids it)`);
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  const args = ["install", "--yes", "--no-install-recommends", ...packages];
  const first = await attempt("apt-get", args, { env });
  if (first.status === 0) return;
  // A fresh machine or image has no package lists yet.
  await attempt("apt-get", ["update"], { env });
  const second = await attempt("apt-get", args, { env });
  if (second.status === 0) return;
  throw new ClusterError(
    "PackagesMissing",
    `apt-get ${args.join(" ")} failed (${second.status}); install them by hand:\n${second.stderr.trim().slice(-2000)}`,
  );
}

async function cniFolder(): Promise<string | null> {
  for (const folder of cniFolders) {
    const needed = ["bridge", "host-local", "loopback"].map(name => isExecutable(`${folder}/${name}`));
    if ((await Promise.all(needed)).every(Boolean)) return folder;
  }
  return null;
}
