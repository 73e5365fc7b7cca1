import { ReleaseError } from "./error.ts";

/** A kind of machine that images are made for: its name in images, in Node, and in the header of its programs. */
export interface Platform {
  /** As OCI names it (image-spec, config.md): "amd64". */
  readonly architecture: "amd64" | "arm64";
  /** As Node names it: "x64". */
  readonly node: string;
  /** ELF, e_machine. */
  readonly machine: number;
}

export const PLATFORMS: readonly Platform[] = [
  { architecture: "amd64", node: "x64", machine: 0x3e },
  { architecture: "arm64", node: "arm64", machine: 0xb7 },
];

/** Reads "linux/amd64,linux/arm64". @throws {ReleaseError} BadArgument */
export function parsePlatforms(text: string): readonly Platform[] {
  const names = [...new Set(text.split(","))];
  return names.map(name => {
    const platform = PLATFORMS.find(({ architecture }) => name === `linux/${architecture}`);
    if (platform) return platform;
    const known = PLATFORMS.map(({ architecture }) => `linux/${architecture}`).join(" and ");
    throw new ReleaseError("BadArgument", `${JSON.stringify(name)} is no platform of wasmount's; there are ${known}`);
  });
}

/** The platform whose programs run here. @throws {ReleaseError} BadArgument */
export function ownPlatform(): Platform {
  const own = PLATFORMS.find(({ node }) => node === process.arch);
  if (own) return own;
  throw new ReleaseError("BadArgument", `releases are not made on ${process.arch}`);
}
