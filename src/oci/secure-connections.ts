/**
 * What speaks TLS, apart from the rest and loaded when it is needed: it takes as long to load as all that a fetch from a
 * registry beside it needs besides.
 */
export { Agent as SecureAgent, request as secureRequest } from "node:https";
export { TunnelAgent } from "./tunnel-agent.ts";
