import { members, text, type Watched, type WatchedKind } from "../kube/watched-kind.ts";
import type { Materials } from "../trust/rules.ts";

/** A Secret or a ConfigMap has it to be read for policies: others of the namespace are none of their business. */
export const MATERIAL_LABEL = "wasmount.dev/trust-material=true";

/** What is held of a Secret or ConfigMap: public texts. */
export interface WatchedMaterial extends Watched {
  readonly texts: Readonly<Record<string, string>>;
}

const PUBLIC_KEY = /^\s*-----BEGIN PUBLIC KEY-----/;

/** Secrets, of which public keys are held and nothing else: cosign keeps the private one beside it. */
export const secretKind = materialKind("SecretList", encoded => {
  const decoded = Buffer.from(encoded, "base64").toString("utf8");
  return PUBLIC_KEY.test(decoded) ? decoded : null;
});

export const configMapKind = materialKind("ConfigMapList", written => written);

function materialKind(list: string, keep: (value: string) => string | null): WatchedKind<WatchedMaterial> {
  return {
    list,
    accept: { list: "application/json", watch: "application/json" },
    read(object) {
      const { metadata, data } = members(object, "an object");
      const { name, namespace, ...rest } = members(metadata, "an object's metadata");
      const entries = Object.entries(data === undefined || data === null ? {} : members(data, "an object's data"));
      return {
        name: text(name, "an object's name"),
        namespace: text(namespace ?? "", "an object's namespace"),
        resourceVersion: text(rest["resourceVersion"] ?? "", "an object's resourceVersion"),
        texts: Object.fromEntries(
          entries.flatMap(([key, value]) => {
            const kept = keep(text(value, "a value"));
            return kept === null ? [] : [[key, kept]];
          }),
        ),
      };
    },
  };
}

/** The materials that are held, by name and key. */
export function materialsOf(secrets: Iterable<WatchedMaterial>, configMaps: Iterable<WatchedMaterial>): Materials {
  const finder = (objects: Iterable<WatchedMaterial>) => {
    const byName = new Map([...objects].map(({ name, texts }) => [name, texts]));
    return (name: string, key: string) => {
      const texts = byName.get(name);
      return texts !== undefined && Object.hasOwn(texts, key) ? (texts[key] ?? null) : null;
    };
  };
  return { secret: finder(secrets), configMap: finder(configMaps) };
}
