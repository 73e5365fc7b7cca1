import { Command } from "commander";
import { EXIT_CODES, type ImageFlags, type RegistryFlags, withImageFlags, withRegistryFlags } from "./image-flags.ts";
import { type ImageVerb, type Outcome, runImageVerb } from "./image-verb.ts";
import { pair, readText, registryReference } from "./trust-flags.ts";

interface SignOptions extends ImageFlags, RegistryFlags {
  readonly key: string;
  readonly annotation?: Readonly<Record<string, string>>;
  readonly legacy?: true;
}

/** Of an encrypted key. An argument would be seen by everyone on the machine. */
const PASSPHRASE = "WASMOUNT_KEY_PASSPHRASE";

/** The verb `wasmount sign IMAGE`. */
export function signCommand(): Command {
  const command = new Command("sign")
    .summary("sign an image")
    .description(
      "Signs an image in a registry with a key, for the repository that it is in, and puts the signature beside it: a " +
        "Sigstore bundle that refers to the image, as cosign 3 writes it.",
    )
    .argument("<image>", "a reference: registry.example/team/filter:1.0; best with its digest")
    .requiredOption("--key <file>", `the private key (PEM, PKCS #8); $${PASSPHRASE} is its passphrase`)
    .option("--annotation <key=value>", "something that the signature says of the image (repeatable)", pair)
    .option("--legacy", "write a signature under cosign's tag instead, as cosign 2 does");
  return withImageFlags(withRegistryFlags(command))
    .addHelpText(
      "after",
      `
Signs what the reference stands for at this moment, and prints it with its digest. P-256, P-384, Ed25519 and RSA keys do:
  $ openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out release.key
  $ openssl pkey -in release.key -pubout -out release.pub

Examples:
  $ wasmount sign registry.example/team/filter@sha256:… --key release.key
  $ wasmount sign registry.example/team/filter:1.0 --key release.key --annotation env=prod

${EXIT_CODES}
`,
    )
    .action(async (image: string, options: SignOptions) => {
      const { parsePlace } = await import("../images/place.ts");
      const places = () => [[parsePlace(image), options] as const];
      await runImageVerb("sign", "signing", options, places, verb => sign(image, options, verb));
    });
}

async function sign(text: string, options: SignOptions, { client, signal, note }: ImageVerb): Promise<Outcome> {
  const { parsePlace, pinned } = await import("../images/place.ts");
  const { formatReference } = await import("../oci/reference.ts");
  const { attachBundle, attachPayload } = await import("../trust/attaching.ts");
  const { readImageSigner, signedBundle, signedPayload } = await import("../trust/signing.ts");
  const reference = registryReference(parsePlace(text));
  const signer = readImageSigner(await readText(options.key), process.env[PASSPHRASE] ?? null);
  const { registry, repository, tag, digest } = reference;
  if (digest === null)
    note(`${formatReference(reference)} is what its tag stands for now; a digest would say which it is`);
  const subject = await client.manifest(registry, repository, digest ?? tag ?? "latest", signal);
  const image = {
    repository: `${registry}/${repository}`,
    digest: subject.digest,
    annotations: options.annotation ?? {},
  };
  const signature = options.legacy
    ? await attachPayload(client, reference, subject.digest, signedPayload(image, signer), signal)
    : await attachBundle(client, reference, subject, signedBundle(image, signer), new Date(), signal);
  const signed = pinned(formatReference(reference), subject.digest);
  return { text: `${signed}\n`, json: { reference: signed, digest: subject.digest, signature } };
}
