import { readFileSync } from "node:fs";

/** What the image starts, as the Dockerfile has it: Node, its options, and the program's path in the image. */
export function imageEntrypoint(): readonly string[] {
  const dockerfile = readFileSync(new URL("../../Dockerfile", import.meta.url), "utf8");
  const [, entrypoint] = /^ENTRYPOINT (\[.*\])$/m.exec(dockerfile) ?? [];
  if (entrypoint === undefined) throw new Error("the Dockerfile has no ENTRYPOINT in JSON");
  return JSON.parse(entrypoint);
}

/** The options that the image gives Node. */
export function imageNodeOptions(): readonly string[] {
  return imageEntrypoint().slice(1, -1);
}
