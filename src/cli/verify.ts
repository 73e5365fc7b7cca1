import { Command, Option } from "commander";
import type { Rule } from "../trust/rule.ts";
import { EXIT_CODES, type ImageFlags, type RegistryFlags, withImageFlags, withRegistryFlags } from "./image-flags.ts";
import { runImageVerb } from "./image-verb.ts";
import {
  judgement,
  type PolicyFlags,
  pair,
  readPolicies,
  readText,
  registryReference,
  withPolicyFlags,
} from "./trust-flags.ts";

interface VerifyOptions extends ImageFlags, RegistryFlags, PolicyFlags {
  readonly key?: readonly string[];
  readonly policy?: readonly string[];
  readonly annotation?: Readonly<Record<string, string>>;
  readonly anyRepository?: true;
}

/** The verb `wasmount verify IMAGE`. */
export function verifyCommand(): Command {
  const command = new Command("verify")
    .summary("say who vouches for an image")
    .description(
      "Verifies the signatures of an image in a registry: cosign's, under its tag or as Sigstore bundles. By keys, or by " +
        "the policies that admission would go by.",
    )
    .argument("<image>", "a reference: registry.example/team/filter:1.0")
    .option("--key <file...>", "public keys (PEM); each of them must have signed")
    .addOption(
      new Option("--policy <file...>", "policies (YAML); every one that is for the image must pass").conflicts("key"),
    )
    .addOption(
      new Option("--annotation <key=value>", "an annotation that the signature must have (repeatable)")
        .argParser(pair)
        .conflicts("policy"),
    )
    .addOption(
      new Option("--any-repository", "take a signature whatever repository it was made for").conflicts("policy"),
    );
  return withImageFlags(withRegistryFlags(withPolicyFlags(command)))
    .addHelpText(
      "after",
      `
A signature counts for the repository that it was made for. cosign's bundles name none: sign by wasmount sign, or by
cosign sign -a wasmount.dev/repository=registry.example/team/filter, or say --any-repository.

Examples:
  $ wasmount verify registry.example/team/filter:1.0 --key release.pub
  $ wasmount verify registry.example/team/filter:1.0 --key cosign.pub --any-repository
  $ wasmount verify registry.example/team/filter:1.0 --policy policy.yaml --namespace shop --json

${EXIT_CODES}
`,
    )
    .action(async (image: string, options: VerifyOptions) => {
      const { parsePlace } = await import("../images/place.ts");
      const places = () => [[parsePlace(image), options] as const];
      await runImageVerb("verify", "verifying", options, places, async verb => {
        const reference = registryReference(parsePlace(image));
        const rulesFor = await rulesOf(options);
        const { text, json } = await judgement(reference, rulesFor, options.unmatched, verb);
        if (!json.allowed) process.exitCode = 1;
        return { text, json };
      });
    });
}

async function rulesOf(
  options: VerifyOptions,
): Promise<(image: { registry: string; repository: string }) => readonly Rule[]> {
  const { key = [], policy = [] } = options;
  if (policy.length > 0) return (await readPolicies(policy, options)).rulesFor;
  const { ImageError } = await import("../images/error.ts");
  if (key.length === 0) throw new ImageError("BadFile", "nothing to verify by: write --key FILE or --policy FILE");
  const rule = await keyRule(key, options);
  return () => [rule];
}

/** The rule that a command line stands for. Named like a cluster's policy, since it is all that vouches here. */
async function keyRule(files: readonly string[], { annotation = {}, anyRepository }: VerifyOptions): Promise<Rule> {
  const { readPublicKey } = await import("../trust/public-key.ts");
  const pems = await Promise.all(files.map(readText));
  const distinct = new Set(pems.map(pem => readPublicKey(pem).spkiHash));
  return {
    policy: "WasmPolicy/--key",
    mode: "Enforce",
    onRegistryError: "Deny",
    requireDigest: false,
    allowedTagPattern: "",
    module: { formats: [], maxBytes: null },
    minimum: distinct.size,
    authorities: pems.map((pem, index) => ({
      kind: "key",
      name: files[index] ?? "",
      pem,
      hash: null,
      formats: ["simpleSigning", "sigstoreBundle"],
      identity: anyRepository ? "Ignore" : "MatchRepository",
      annotations: annotation,
    })),
    source: null,
    attestations: [],
  };
}
