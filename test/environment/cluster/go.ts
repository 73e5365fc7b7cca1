import { attempt } from "./command.ts";
import { ClusterError } from "./error.ts";
import { findExecutable } from "./executable.ts";

/** The Go of this machine. */
export interface Go {
  readonly path: string;
  /** As in `1.26.8`. */
  readonly version: string;
  /** As in `linux/amd64`. */
  readonly platform: string;
}

/** The oldest Go that compiles the pinned modules: the highest `go` line among their go.mod files. */
export const oldestGo = "1.26.3";

const install = `Install Go ${oldestGo} or newer (https://go.dev/dl/) and put it on PATH.`;

/**
 * Go on PATH or at its customary place.
 * @throws ClusterError GoMissing or GoTooOld, with what to install.
 */
export async function findGo(): Promise<Go> {
  const path = await findExecutable("go", ["/usr/local/go/bin", "/usr/lib/go/bin"]);
  if (!path)
    throw new ClusterError(
      "GoMissing",
      `the cluster's parts are built from Go modules, and there is no go on PATH. ${install}`,
    );
  const result = await attempt(path, ["version"], { env: { ...process.env, GOTOOLCHAIN: "local" } });
  const match = /go version go(\d+(?:\.\d+)*)\S* (\S+)/.exec(result.stdout);
  if (!match?.[1] || !match[2]) {
    throw new ClusterError(
      "GoMissing",
      `${path} version failed (${result.status}): ${result.stderr.trim()}. ${install}`,
    );
  }
  if (isOlder(match[1], oldestGo)) {
    throw new ClusterError("GoTooOld", `${path} is Go ${match[1]}, too old for the pinned modules. ${install}`);
  }
  return { path, version: match[1], platform: match[2] };
}

/** Whether one dotted version comes before another, compared number by number. */
export function isOlder(version: string, than: string): boolean {
  const left = version.split(".").map(Number);
  const right = than.split(".").map(Number);
  for (let index = 0; index < Math.max(left.length, right.length); index++) {
    const difference = (left[index] ?? 0) - (right[index] ?? 0);
    if (difference !== 0) return difference < 0;
  }
  return false;
}

/** The environment of every build: this machine's Go and no other, no C, nothing from a user's Go settings. */
export function goEnvironment(): NodeJS.ProcessEnv {
  return { ...process.env, GOTOOLCHAIN: "local", GOFLAGS: "", GOWORK: "off", CGO_ENABLED: "0" };
}
