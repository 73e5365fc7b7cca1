import { startRegistry } from "./registry.ts";

/** `node main.ts [host:port]`: the registry as a process of its own, for tools that need one. */
const [, , at = "127.0.0.1:5000"] = process.argv;
const [host = "127.0.0.1", port = "5000"] = at.split(":");
const registry = await startRegistry({ host, port: Number(port) });
console.log(`registry at http://${registry.address}`);
