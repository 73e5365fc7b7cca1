import { attempt } from "./command.ts";
import { ClusterError } from "./error.ts";
import { findExecutable } from "./executable.ts";

/** The chain that kube-proxy makes on the kubelet's behalf, and therefore leaves behind when it cleans up. */
const chain = "KUBE-FIREWALL";

/**
 * Removes the rules that kube-proxy made.
 * @param kubeProxy its binary, which removes most of them itself.
 */
export async function removeProxyRules(kubeProxy: string): Promise<void> {
  await attempt(kubeProxy, ["--cleanup"]);
  for (const name of ["iptables", "ip6tables"]) {
    const iptables = await findExecutable(name);
    if (iptables) await removeEmptyChain(iptables);
  }
}

/**
 * Where kube-proxy's rules lead calls of a Service at this moment: an endpoint is gone for callers once it is gone here.
 * @param service its namespace, "/" and its name
 * @returns addresses with ports, IPv4
 * @throws ClusterError where the rules can't be read
 */
export async function serviceEndpoints(service: string): Promise<readonly string[]> {
  const iptables = await findExecutable("iptables");
  if (!iptables) throw new ClusterError("PackagesMissing", "iptables is not installed");
  const rules = await attempt(iptables, ["-w", "-t", "nat", "-S"]);
  if (rules.status !== 0) throw new ClusterError("CommandFailed", `iptables -S: ${rules.stderr}`);
  // kube-proxy's own comment on a Service's rule for one of its endpoints.
  const comments = rules.stdout.matchAll(/^-A KUBE-SVC-\S+ .*"(\S+):[^:" ]* -> (\S+)"/gm);
  return [...comments].flatMap(([, name, endpoint = ""]) => (name === service ? [endpoint] : []));
}

/** A chain with a rule in it belongs to another kubelet of this machine: ours makes none. */
async function removeEmptyChain(iptables: string): Promise<void> {
  const rules = await attempt(iptables, ["-w", "-S", chain]);
  if (rules.status !== 0 || rules.stdout.trim() !== `-N ${chain}`) return;
  for (const from of ["INPUT", "OUTPUT"]) await attempt(iptables, ["-w", "-D", from, "-j", chain]);
  await attempt(iptables, ["-w", "-X", chain]);
}
