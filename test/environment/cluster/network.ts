import { existsSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { networkInterfaces } from "node:os";
import { attempt, run } from "./command.ts";
import { ClusterError } from "./error.ts";
import { findExecutable } from "./executable.ts";
import { stateFolder } from "./settings.ts";

/** The pods' network: one bridge on this host. Its gateway is the node's address and how pods reach the host. */
export const podNetwork = {
  bridge: "wasmount0",
  subnet: "10.244.0.0/24",
  prefix: "10.244.0.",
  gateway: "10.244.0.1",
} as const;

/** The addresses of Services, and the one of the API server among them. */
export const serviceNetwork = { subnet: "10.96.0.0/24", api: "10.96.0.1" } as const;

const mark = ["-m", "comment", "--comment", "wasmount-pods"];

/** Forwarding between pods and the world, whatever the machine's policy; and pods leave by the host's address. */
const rules: readonly (readonly string[])[] = [
  ["nat", "POSTROUTING", "-s", podNetwork.subnet, "!", "-d", podNetwork.subnet, ...mark, "-j", "MASQUERADE"],
  ["filter", "FORWARD", "-i", podNetwork.bridge, ...mark, "-j", "ACCEPT"],
  ["filter", "FORWARD", "-o", podNetwork.bridge, ...mark, "-j", "ACCEPT"],
];

/**
 * Makes the bridge with its address, and the rules, where they are missing.
 * @throws ClusterError NetworkTaken where the bridge belongs to the cluster of another cache folder, or another
 * interface has an address of the pods' network.
 */
export async function raiseNetwork(): Promise<void> {
  const ip = await tool("ip");
  await checkNetwork(ip);
  const show = await attempt(ip, ["link", "show", podNetwork.bridge]);
  if (show.status !== 0) {
    await run(ip, ["link", "add", podNetwork.bridge, "type", "bridge"]);
    await run(ip, ["link", "set", podNetwork.bridge, "alias", stateFolder()]);
  }
  await attempt(ip, ["address", "add", `${podNetwork.gateway}/24`, "dev", podNetwork.bridge]);
  await run(ip, ["link", "set", podNetwork.bridge, "up"]);
  await writeFile("/proc/sys/net/ipv4/ip_forward", "1");
  const iptables = await tool("iptables");
  for (const [table = "", chain = "", ...rule] of rules) {
    const present = await attempt(iptables, ["-w", "-t", table, "-C", chain, ...rule]);
    if (present.status !== 0) await run(iptables, ["-w", "-t", table, "-I", chain, ...rule]);
  }
}

/** Removes the bridge and the rules: only our own bridge, and rules only with it. */
export async function removeNetwork(): Promise<void> {
  const ip = await findExecutable("ip");
  if (!ip || (await bridgeOwner(ip)) !== stateFolder()) return;
  await attempt(ip, ["link", "delete", podNetwork.bridge]);
  const iptables = await findExecutable("iptables");
  if (!iptables) return;
  for (const [table = "", chain = "", ...rule] of rules) {
    await attempt(iptables, ["-w", "-t", table, "-D", chain, ...rule]);
  }
}

async function checkNetwork(ip: string): Promise<void> {
  const owner = await bridgeOwner(ip);
  if (owner !== null && owner !== stateFolder() && owner !== "" && !existsSync(owner)) {
    // Its cluster's folder was removed without `down`.
    await run(ip, ["link", "delete", podNetwork.bridge]);
  } else if (owner !== null && owner !== stateFolder()) {
    throw new ClusterError(
      "NetworkTaken",
      `the bridge ${podNetwork.bridge} belongs to another local cluster (${owner || "of an unknown cache folder"}): one machine runs one at a time. Run "npm run cluster -- down" where that one was started, with its WASMOUNT_CACHE`,
    );
  }
  for (const [name, addresses] of Object.entries(networkInterfaces())) {
    const other = name !== podNetwork.bridge && addresses?.find(({ address }) => address.startsWith(podNetwork.prefix));
    if (other) {
      throw new ClusterError(
        "NetworkTaken",
        `the interface ${name} has ${other.address}, in the network ${podNetwork.subnet} that the local cluster gives its pods: stop what made it`,
      );
    }
  }
}

/** The state folder that the bridge's alias names; "" for a bridge without one; null where there is no bridge. */
async function bridgeOwner(ip: string): Promise<string | null> {
  const result = await attempt(ip, ["-json", "link", "show", podNetwork.bridge]);
  if (result.status !== 0) return null;
  const [link] = JSON.parse(result.stdout) as { ifalias?: string }[];
  return link?.ifalias ?? "";
}

async function tool(name: string): Promise<string> {
  const path = await findExecutable(name);
  if (path) return path;
  throw new ClusterError("PackagesMissing", `a node needs the command ${name}, which is not on PATH`);
}
