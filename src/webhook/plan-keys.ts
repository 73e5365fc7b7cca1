import { createPublicKey } from "node:crypto";
import { readFile } from "node:fs/promises";
import type { Config } from "../config/config.ts";
import { ConfigError } from "../config/error.ts";
import { messageOf } from "../error.ts";
import type { CurrentKeys } from "../plan/keyring.ts";
import { readPlanKeys, readSigner } from "../plan/signature.ts";

/** Reads the keys in the files that the configuration names, if any. @throws ConfigError Unusable, naming the setting. */
export async function readPlanKeyFiles({
  signingKeyFile,
  verificationKeyFiles,
}: Pick<Config["plan"], "signingKeyFile" | "verificationKeyFiles">): Promise<CurrentKeys> {
  const signer = signingKeyFile === null ? null : await readKeyFile("plan.signingKeyFile", signingKeyFile, readSigner);
  const own = signer ? [[signer.keyId, createPublicKey(signer.key)] as const] : [];
  const others = await Promise.all(
    verificationKeyFiles.map(path => readKeyFile("plan.verificationKeyFiles", path, pem => [...readPlanKeys([pem])])),
  );
  return { signer, keys: new Map([...own, ...others.flat()]) };
}

async function readKeyFile<Key>(setting: string, path: string, read: (pem: string) => Key): Promise<Key> {
  try {
    return read(await readFile(path, "utf8"));
  } catch (error) {
    throw new ConfigError("Unusable", `can't use ${setting} ${path}: ${messageOf(error)}`, { cause: error });
  }
}
