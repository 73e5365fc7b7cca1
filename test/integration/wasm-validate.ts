import { spawn } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** What a real Envoy made of a module: loaded, refused with its reason, or the signal or exit code that ended it. */
export interface Verdict {
  readonly outcome: "accepts" | "refuses" | "crashes";
  /** The lines of Envoy's log that say why. */
  readonly reason: string;
}

/** Runs `envoy --mode validate` on a bootstrap whose only HTTP filter is the module. It instantiates the module. */
export async function validate(envoy: string, module: Uint8Array): Promise<Verdict> {
  const folder = await mkdtemp(join(tmpdir(), "wasm-agreement-"));
  try {
    await writeFile(join(folder, "module.wasm"), module);
    await writeFile(join(folder, "envoy.json"), JSON.stringify(bootstrap(join(folder, "module.wasm"))));
    const { code, signal, output } = await run(envoy, join(folder, "envoy.json"));
    const reason = output
      .split("\n")
      .filter(line => /wasm|critical|error|fatal|unreachable|segmentation/i.test(line))
      .join("\n")
      .slice(0, 4000);
    if (code === 0) return { outcome: "accepts", reason };
    if (code === 1) return { outcome: "refuses", reason };
    return { outcome: "crashes", reason: `${signal ?? `exit code ${code}`}\n${reason || output.slice(-2000)}` };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function run(
  envoy: string,
  config: string,
): Promise<{ code: number | null; signal: string | null; output: string }> {
  const child = spawn(
    envoy,
    ["--mode", "validate", "-c", config, "-l", "error", "--component-log-level", "wasm:warning"],
    {
      stdio: ["ignore", "pipe", "pipe"],
    },
  );
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", chunk => {
      output += chunk;
    });
  }
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code, signal) => resolve({ code, signal, output }));
  });
}

function bootstrap(filename: string): object {
  const connectionManager = {
    "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
    stat_prefix: "in",
    route_config: { virtual_hosts: [{ name: "all", domains: ["*"] }] },
    http_filters: [
      {
        name: "module",
        typed_config: {
          "@type": "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm",
          config: {
            name: "module",
            vm_config: { runtime: "envoy.wasm.runtime.v8", code: { local: { filename } } },
          },
        },
      },
      {
        name: "router",
        typed_config: { "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router" },
      },
    ],
  };
  return {
    static_resources: {
      listeners: [
        {
          name: "in",
          address: { socket_address: { address: "127.0.0.1", port_value: 0 } },
          filter_chains: [{ filters: [{ name: "http", typed_config: connectionManager }] }],
        },
      ],
    },
  };
}
