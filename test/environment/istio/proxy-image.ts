import { readdir, realpath } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { binaryOf } from "../cluster/binaries.ts";
import { findExecutable } from "../cluster/executable.ts";
import type { Progress } from "../cluster/progress.ts";
import { envoyBinary } from "../envoy.ts";
import { binaryWithLibraries } from "../images/binary.ts";
import { type BuiltImage, builtImage } from "../images/images.ts";
import type { ImageEntry } from "../images/layer.ts";
import { istioSource } from "./source.ts";

/** What injected pods run: as Istio names it, so that adapters see its name. */
export const PROXY_IMAGE = "docker.io/local/proxyv2:1";

/**
 * The image of Istio's sidecars and init containers: pilot-agent, the pinned upstream Envoy, and this machine's iptables.
 * Laid out as Istio's own (tools/packaging/common, pilot/docker).
 */
export async function istioProxyImage(progress: Progress): Promise<BuiltImage> {
  const agent = await binaryOf("pilot-agent", progress);
  const envoy = await envoyBinary(progress);
  const template = await istioSource("tools/packaging/common/envoy_bootstrap.json");
  const entries: ImageEntry[] = [
    ...(await binaryWithLibraries(agent, "/usr/local/bin/pilot-agent")),
    ...(await binaryWithLibraries(envoy, "/usr/local/bin/envoy")),
    ...(await iptables()),
    {
      kind: "file",
      path: "/var/lib/istio/envoy/envoy_bootstrap_tmpl.json",
      mode: 0o644,
      source: { path: template },
    },
    { kind: "folder", path: "/etc/istio/proxy", mode: 0o777 },
    { kind: "folder", path: "/var/lib/istio/data", mode: 0o777 },
    { kind: "folder", path: "/run", mode: 0o755 },
    { kind: "folder", path: "/tmp", mode: 0o1777 },
    { kind: "file", path: "/etc/passwd", mode: 0o644, source: { bytes: Buffer.from(accounts("passwd")) } },
    { kind: "file", path: "/etc/group", mode: 0o644, source: { bytes: Buffer.from(accounts("group")) } },
  ];
  return builtImage({
    reference: PROXY_IMAGE,
    entries: distinct(entries),
    entrypoint: ["/usr/local/bin/pilot-agent"],
    user: "0:0",
    env: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
  });
}

function accounts(file: "passwd" | "group"): string {
  return file === "passwd"
    ? "root:x:0:0:root:/:/sbin/nologin\nistio-proxy:x:1337:1337::/:/sbin/nologin\n"
    : "root:x:0:\nistio-proxy:x:1337:\n";
}

/** One program under many names, and its extensions, which it opens by path. */
async function iptables(): Promise<readonly ImageEntry[]> {
  const found = await findExecutable("iptables", ["/usr/sbin", "/sbin"]);
  if (found === null) throw new Error("there is no iptables on PATH: install it (Debian: apt install iptables)");
  const program = await realpath(found);
  const extensions = await extensionFolder(program);
  const names = ["iptables", "ip6tables"].flatMap(name => [name, `${name}-save`, `${name}-restore`]);
  const shared = await Promise.all(
    (await readdir(extensions)).map(name => binaryWithLibraries(join(extensions, name), join(extensions, name))),
  );
  return [
    ...(await binaryWithLibraries(program, `/usr/sbin/${basename(program)}`)),
    ...shared.flat(),
    ...names.map(
      name => ({ kind: "symlink", path: `/usr/sbin/${name}`, target: basename(program) }) satisfies ImageEntry,
    ),
  ];
}

async function extensionFolder(program: string): Promise<string> {
  const libraries = await binaryWithLibraries(program, program);
  const library = libraries.find(({ path }) => basename(path).startsWith("libxtables.so"));
  if (library === undefined) throw new Error(`${program} does not use libxtables`);
  return join(dirname(await realpath(library.path)), "xtables");
}

function distinct(entries: readonly ImageEntry[]): readonly ImageEntry[] {
  return [...new Map(entries.map(entry => [entry.path, entry])).values()];
}
