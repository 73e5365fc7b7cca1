import { METADATA } from "../kube/object-metadata.ts";
import { type Ask, refused } from "./calls.ts";

/** Whether wasmount's namespace has an annotation by which its operator wants what hooks refuse. @throws HookError */
export async function isAnnotated(ask: Ask, namespace: string, annotation: string): Promise<boolean> {
  const answer = await ask("GET", `/api/v1/namespaces/${namespace}`, { accept: METADATA });
  if (answer.status !== 200) throw refused("GET", `namespace ${namespace}`, answer);
  const { metadata } = answer.body as { readonly metadata?: { readonly annotations?: Record<string, string> } };
  return metadata?.annotations?.[annotation] === "true";
}
