import manifest from "../../package.json" with { type: "json" };

/** The release's version, from package.json. */
export const version: string = manifest.version;
