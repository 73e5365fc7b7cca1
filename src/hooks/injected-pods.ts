import { INJECTED } from "../admission/key.ts";
import { METADATA_LIST } from "../kube/object-metadata.ts";
import { type Ask, refused } from "./calls.ts";

const PAGE = 500;
/** Pods that a refusal names; of others it tells the number. */
const NAMED = 50;

/** An object of a list, as far as hooks look at it. */
export interface Listed {
  readonly metadata: {
    readonly namespace: string;
    readonly name: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
    /** Of one that is ending. */
    readonly deletionGracePeriodSeconds?: number;
  };
}

/** Injected pods that have not ended: those that have, as of Jobs, have no filters to lose. @throws HookError */
export async function* injectedPods(ask: Ask): AsyncGenerator<Listed> {
  let token = "";
  do {
    const query = new URLSearchParams({
      labelSelector: `${INJECTED}=true`,
      fieldSelector: "status.phase!=Succeeded,status.phase!=Failed",
      limit: String(PAGE),
      ...(token !== "" && { continue: token }),
    });
    const { items, next } = await listed(ask, `/api/v1/pods?${query}`);
    yield* items;
    token = next;
  } while (token !== "");
}

/** One page of metadata. @throws HookError */
export async function listed(
  ask: Ask,
  path: string,
): Promise<{ readonly items: readonly Listed[]; readonly next: string }> {
  const answer = await ask("GET", path, { accept: METADATA_LIST });
  if (answer.status !== 200) throw refused("GET", path, answer);
  const { items, metadata } = answer.body as {
    readonly items?: readonly Listed[] | null;
    readonly metadata?: { readonly continue?: string };
  };
  return { items: items ?? [], next: metadata?.continue ?? "" };
}

/** Some pods by their names, and of others how many there are. */
export class NamedPods {
  #count = 0;
  readonly #names: string[] = [];

  add({ metadata }: Listed, remark = ""): void {
    this.#count += 1;
    if (this.#names.length < NAMED) this.#names.push(`${metadata.namespace}/${metadata.name}${remark}`);
  }

  get count(): number {
    return this.#count;
  }

  /** One line: Helm shows a hook's output as one, with its newlines written out. */
  toString(): string {
    const others = this.#count - this.#names.length;
    return `${this.#names.join(", ")}${others > 0 ? ` and ${others} more` : ""}`;
  }
}
