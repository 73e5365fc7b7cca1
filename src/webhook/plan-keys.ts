import { createPublicKey } from "node:crypto";
import { readFile } from "node:fs/promises";
import type { Config } from "../config/config.ts";
import { ConfigError } from "../config/error.ts";
import { messageOf } from "../error.ts";
import { type PlanKeys, type PlanSigner, readPlanKeys, readSigner } from "../plan/signature.ts";

/** The key that signs plans, null where none does, and all keys whose signatures count, its own among them. */
export interface PlanKeyring {
  readonly signer: PlanSigner | null;
  readonly keys: PlanKeys;
}

/** Reads the keys that the configuration names. @throws ConfigError Unusable, naming the setting. */
export async function readPlanKeyring({ signingKeyFile, verificationKeyFiles }: Config["plan"]): Promise<PlanKeyring> {
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
