import type { Answer, ClusterView } from "../../src/diagnosis/cluster-view.ts";
import { DiagnosisError } from "../../src/diagnosis/error.ts";
import type { RawPod } from "../validation/injected-pod.ts";

/** What a cluster answers, by path. What is not there is not there. */
export interface Recording {
  readonly objects?: Readonly<Record<string, RawPod>>;
  readonly lists?: Readonly<Record<string, readonly RawPod[]>>;
  readonly texts?: Readonly<Record<string, { readonly status: number; readonly text: string }>>;
  /** Paths that whoever asks has no right to. */
  readonly forbidden?: RegExp;
  readonly answer?: (method: string, path: string, body: unknown) => Partial<Answer>;
  readonly connect?: ClusterView["connect"];
  readonly now?: Date;
}

/** A cluster that is no more than what a test says. */
export function recordedCluster(recording: Recording): ClusterView {
  const may = (path: string) => {
    if (recording.forbidden?.test(path))
      throw new DiagnosisError("RightMissing", `the right to read ${path} is missing`);
  };
  return {
    async get<Value>(path: string) {
      may(path);
      return (recording.objects?.[path] as Value | undefined) ?? null;
    },
    async *list<Item>(path: string) {
      may(path);
      yield* (recording.lists?.[path] ?? []) as readonly Item[];
    },
    async text(path) {
      may(path);
      const found = recording.texts?.[path];
      if (found === undefined) throw new DiagnosisError("Unreachable", `nobody answers at ${path}`);
      return found;
    },
    async send(method, path, body) {
      return { status: 404, body: null, message: "", warnings: [], ...recording.answer?.(method, path, body) };
    },
    async connect(place) {
      if (recording.connect === undefined) throw new DiagnosisError("Unreachable", "nobody listens");
      return recording.connect(place);
    },
    now: () => recording.now ?? new Date(),
  };
}
