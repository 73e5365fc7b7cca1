import { Command, Option } from "commander";
import { type AskingFlags, namespaceName, runClusterVerb, withClusterFlags } from "./cluster-flags.ts";

interface StatusOptions extends AskingFlags {
  readonly namespace?: string;
  readonly allNamespaces?: true;
  readonly selector?: string;
  readonly live?: true;
}

/** The verb `wasmount status`. */
export function statusCommand(): Command {
  const command = new Command("status")
    .summary("what became of the pods of a cluster")
    .description(
      "Lists the pods that run filters, or ought to: what their fetchers came to, which digests they run, and which were " +
        "created without filters that they ask for.",
    )
    .option("-n, --namespace <name>", "the namespace (default: the context's)", namespaceName)
    .addOption(new Option("-A, --all-namespaces", "all namespaces").conflicts("namespace"))
    .option("-l, --selector <labels>", "only pods with these labels, as kubectl takes them")
    .option("--live", "ask each running pod's Envoy which version of its filters it serves");
  return withClusterFlags(command)
    .addHelpText(
      "after",
      `
States:
  Mounted       all modules are verified and on the pod's volume
  Running       the fetcher is at work
  Waiting       the fetcher has not started yet
  Failed(code)  the fetcher failed, or can't start; what it said is below the table
  Uninjected    the pod asks for filters and runs without: it was created while the webhook was not asked, or before its
                namespace was switched on. In brackets, what admission would say of it now
  Outdated      beside another state: what pod and namespace ask for now differs from what runs. A tag that moved is no
                difference: pods keep the digest that it was pinned to

With --live, what each pod's Envoy says of its filters, the worst of them:
  serving   the version that the fetcher wrote
  differs   another version: its filter file was changed, or not taken
  denying   nothing is loaded: all requests are denied
  unknown   it could not be asked, or does not say; why is below the table

Needs the rights to get the namespace and to list pods in it; with -A, to list both in the whole cluster. Where the
operator's configuration (ConfigMap wasmount-config) can't be read, the defaults stand for it. With --live, needs the
rights to get and create pods/portforward, too: Envoy's administration interface is on the pod's loopback.

Exit codes: 0 all is well, or unknown, 1 a pod is Failed or Uninjected, or a filter differs or is denying, 2 wrong usage, or the cluster can't be read.

Examples:
  $ wasmount status
  $ wasmount status -n shop -l app=cart
  $ wasmount status -n shop --live
  $ wasmount status -A --json | jq -r '.pods[] | select(.state == "Uninjected") | .namespace + "/" + .pod'
`,
    )
    .action(async (options: StatusOptions) => {
      const { findInstallation } = await import("../diagnosis/installation.ts");
      const { withLiveFilters } = await import("../diagnosis/live-filters.ts");
      const { surveyPods } = await import("../diagnosis/pod-survey.ts");
      const { dataPlanesIn } = await import("../diagnosis/slots.ts");
      const { isWrong, surveyText } = await import("../diagnosis/survey-text.ts");
      await runClusterVerb("status", options, async ({ cluster, contextNamespace, terminal }) => {
        const installation = await findInstallation(cluster, options.systemNamespace);
        const namespace = options.allNamespaces ? null : (options.namespace ?? contextNamespace);
        const scope = { namespace, ...(options.selector === undefined ? {} : { labelSelector: options.selector }) };
        const dataPlanes = await dataPlanesIn(cluster, installation.config);
        const stored = await surveyPods(cluster, installation, dataPlanes, scope);
        const pods = options.live ? await withLiveFilters(cluster, stored) : stored;
        return {
          text: surveyText(pods, { terminal, withNamespace: namespace === null, now: cluster.now() }),
          json: { pods },
          exitCode: pods.some(isWrong) ? 1 : 0,
        };
      });
    });
}
