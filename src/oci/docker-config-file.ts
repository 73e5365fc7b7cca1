import { open } from "node:fs/promises";
import { MAX_DOCKER_CONFIG } from "./docker-config.ts";
import { RegistryError } from "./error.ts";

/**
 * The text of a docker configuration in a file; null where there is no file.
 * @throws {RegistryError} BadCredentials, naming the path
 */
export async function readDockerConfigFile(path: string): Promise<string | null> {
  try {
    await using file = await open(path);
    // One byte more than allowed, for whoever parses it to see that it is too long.
    const buffer = Buffer.alloc(MAX_DOCKER_CONFIG + 1);
    let size = 0;
    for (;;) {
      const { bytesRead } = await file.read(buffer, size, buffer.length - size);
      size += bytesRead;
      if (bytesRead === 0 || size === buffer.length) return buffer.toString("utf8", 0, size);
    }
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : "unreadable";
    if (code === "ENOENT") return null;
    throw new RegistryError("BadCredentials", `can't read the docker configuration ${path}: ${code}`, { cause: error });
  }
}
