import { open } from "node:fs/promises";
import { Command, InvalidArgumentError, Option } from "commander";
import { messageOf } from "../error.ts";
import type { SignedImage } from "../trust/signing.ts";
import { EXIT_CODES, type ImageFlags, type RegistryFlags, withImageFlags, withRegistryFlags } from "./image-flags.ts";
import { type ImageVerb, isLoopback, type Outcome, runImageVerb } from "./image-verb.ts";
import { pair, readText, registryReference } from "./trust-flags.ts";

interface SignOptions extends ImageFlags, RegistryFlags {
  readonly key?: string;
  readonly keyless?: true;
  readonly identityTokenFile?: string;
  readonly fulcioUrl?: URL;
  readonly rekorUrl?: URL;
  readonly timestampUrl?: URL;
  readonly annotation?: Readonly<Record<string, string>>;
  readonly legacy?: true;
}

/** Of an encrypted key. An argument would be seen by everyone on the machine. */
const PASSPHRASE = "WASMOUNT_KEY_PASSPHRASE";

/** The least exit code of a verb that a signal ended. */
const INTERRUPTED = 130;

/** The verb `wasmount sign IMAGE`. */
export function signCommand(): Command {
  const command = new Command("sign")
    .summary("sign an image")
    .description(
      "Signs an image in a registry, with a key or by a certificate of Sigstore (--keyless), for the repository that it " +
        "is in, and puts the signature beside it: a Sigstore bundle that refers to the image, as cosign 3 writes it.",
    )
    .argument("<image>", "a reference: registry.example/team/filter:1.0; best with its digest")
    .option("--key <file>", `the private key (PEM, PKCS #8); $${PASSPHRASE} is its passphrase`)
    .addOption(
      new Option("--keyless", "sign as who an identity token names, entered in a public log for good").conflicts([
        "key",
        "legacy",
      ]),
    )
    .addOption(new Option("--identity-token-file <file>", "the token; see below for where else").conflicts("key"))
    .addOption(serviceOption("--fulcio-url <url>", "the certificate authority (default: https://fulcio.sigstore.dev)"))
    .addOption(serviceOption("--rekor-url <url>", "the transparency log (default: https://rekor.sigstore.dev)"))
    .addOption(serviceOption("--timestamp-url <url>", "a timestamp authority to ask as well (RFC 3161)"))
    .option("--annotation <key=value>", "something that the signature says of the image (repeatable)", pair)
    .option("--legacy", "write a signature under cosign's tag instead, as cosign 2 does");
  return withImageFlags(withRegistryFlags(command))
    .addHelpText(
      "after",
      `
Signs what the reference stands for at this moment, and prints it with its digest. P-256, P-384, Ed25519 and RSA keys do:
  $ openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out release.key
  $ openssl pkey -in release.key -pubout -out release.pub

--keyless takes the token from --identity-token-file, else from $SIGSTORE_ID_TOKEN, else from GitHub Actions (id-token:
write). The log shows who signed, and the image's digest in a hash, to whoever reads it.

Examples:
  $ wasmount sign registry.example/team/filter@sha256:… --key release.key
  $ wasmount sign registry.example/team/filter:1.0 --key release.key --annotation env=prod
  $ wasmount sign registry.example/team/filter@sha256:… --keyless

${EXIT_CODES}
`,
    )
    .action(async (image: string, options: SignOptions) => {
      const { parsePlace } = await import("../images/place.ts");
      const places = () => [[parsePlace(image), options] as const];
      await runImageVerb("sign", "signing", options, places, verb => sign(image, options, verb));
      // The library's requests can't be aborted: they would hold an interrupted process until they time out.
      if (options.keyless && Number(process.exitCode) >= INTERRUPTED) process.exit();
    });
}

async function sign(text: string, options: SignOptions, { client, signal, note }: ImageVerb): Promise<Outcome> {
  const { parsePlace, pinned } = await import("../images/place.ts");
  const { formatReference } = await import("../oci/reference.ts");
  const { attachBundle, attachPayload } = await import("../trust/attaching.ts");
  const reference = registryReference(parsePlace(text));
  // Before anything is asked of a registry: what is missing here, only its user can give.
  const signing = await signingOf(options, signal);
  const { registry, repository, tag, digest } = reference;
  if (digest === null)
    note(`${formatReference(reference)} is what its tag stands for now; a digest would say which it is`);
  const subject = await client.manifest(registry, repository, digest ?? tag ?? "latest", signal);
  const image = {
    repository: `${registry}/${repository}`,
    digest: subject.digest,
    annotations: options.annotation ?? {},
  };
  const signature =
    signing.form === "payload"
      ? await attachPayload(client, reference, subject.digest, signing.of(image), signal)
      : await attachBundle(client, reference, subject, await signing.of(image), new Date(), signal);
  const signed = pinned(formatReference(reference), subject.digest);
  return { text: `${signed}\n`, json: { reference: signed, digest: subject.digest, signature } };
}

/** What makes a signature of an image, in either form. */
type Signing =
  | { readonly form: "bundle"; of(image: SignedImage): Promise<Buffer> }
  | { readonly form: "payload"; of(image: SignedImage): { readonly payload: Buffer; readonly signature: Buffer } };

async function signingOf(options: SignOptions, signal: AbortSignal): Promise<Signing> {
  if (options.keyless) return keylessSigning(options, signal);
  const { ImageError } = await import("../images/error.ts");
  if (options.key === undefined) throw new ImageError("BadFile", "nothing to sign with: write --key FILE or --keyless");
  const { readImageSigner, signedBundle, signedPayload } = await import("../trust/signing.ts");
  const signer = readImageSigner(await readText(options.key), process.env[PASSPHRASE] ?? null);
  return options.legacy
    ? { form: "payload", of: image => signedPayload(image, signer) }
    : { form: "bundle", of: async image => signedBundle(image, signer) };
}

/** Loads the library late: no other verb needs it. */
async function keylessSigning(options: SignOptions, signal: AbortSignal): Promise<Signing> {
  const { identityToken, MAX_TOKEN } = await import("../trust/identity-token.ts");
  const { keylessBundle } = await import("../trust/keyless-signing.ts");
  const { identityTokenFile: name, fulcioUrl, rekorUrl, timestampUrl } = options;
  const file = name === undefined ? null : { name, text: await readStart(name, MAX_TOKEN + 1) };
  const token = await identityToken({ file, environment: process.env }, signal);
  const services = {
    ...(fulcioUrl && { fulcio: fulcioUrl }),
    ...(rekorUrl && { rekor: rekorUrl }),
    ...(timestampUrl && { timestamp: timestampUrl }),
  };
  return { form: "bundle", of: image => keylessBundle(image, token, services, signal) };
}

/** No more of a file than can be of use. @throws {ImageError} BadFile */
async function readStart(file: string, most: number): Promise<string> {
  try {
    await using handle = await open(file);
    const buffer = Buffer.alloc(most);
    let length = 0;
    for (let read = -1; read !== 0 && length < most; length += read)
      ({ bytesRead: read } = await handle.read(buffer, length, most - length));
    return buffer.toString("utf8", 0, length);
  } catch (error) {
    const { ImageError } = await import("../images/error.ts");
    throw new ImageError("BadFile", `${file} can't be read: ${messageOf(error)}`);
  }
}

function serviceOption(flags: string, description: string): Option {
  return new Option(flags, description).argParser(serviceUrl).conflicts("key");
}

/** Where a token is sent, nobody may listen: HTTP without TLS is for this machine alone, as it is for registries. */
function serviceUrl(text: string): URL {
  const url = URL.parse(text);
  if (url === null || !/^https?:$/.test(url.protocol) || url.username || url.password || url.search || url.hash)
    throw new InvalidArgumentError("write https://HOST, without user, query and fragment.");
  if (url.protocol === "http:" && !isLoopback(url.host))
    throw new InvalidArgumentError("write https: without TLS only services on this machine are asked.");
  return url;
}
