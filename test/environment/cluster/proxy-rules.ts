import { attempt } from "./command.ts";
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

/** A chain with a rule in it belongs to another kubelet of this machine: ours makes none. */
async function removeEmptyChain(iptables: string): Promise<void> {
  const rules = await attempt(iptables, ["-w", "-S", chain]);
  if (rules.status !== 0 || rules.stdout.trim() !== `-N ${chain}`) return;
  for (const from of ["INPUT", "OUTPUT"]) await attempt(iptables, ["-w", "-D", from, "-j", chain]);
  await attempt(iptables, ["-w", "-X", chain]);
}
