import { milliUnits } from "./quantity.ts";

/**
 * One limit of a LimitRange (core/v1) that a container of the namespace is held to: bounds per resource, as quantities.
 * The API server refuses containers outside of them.
 */
export interface ContainerLimit {
  /** Name of the LimitRange, for messages. */
  readonly name: string;
  /** `Container` bounds each container; `Pod` the sum of them all, which one container alone may exceed, too. */
  readonly type: "Container" | "Pod";
  readonly min: Readonly<Record<string, string>>;
  readonly max: Readonly<Record<string, string>>;
  /** How many times its request a limit may be. */
  readonly maxLimitRequestRatio: Readonly<Record<string, string>>;
}

/** The limits of a LimitRange object. Items of other types, and quantities that can't be read, are left out. */
export function readLimitRange(object: unknown): readonly ContainerLimit[] {
  const { metadata, spec } = object as LimitRangeObject;
  return (spec?.limits ?? []).flatMap(item => {
    if (item?.type !== "Container" && item?.type !== "Pod") return [];
    const { type, min, max, maxLimitRequestRatio } = item;
    return [
      {
        name: metadata?.name ?? "",
        type,
        min: quantities(min),
        max: quantities(max),
        maxLimitRequestRatio: quantities(maxLimitRequestRatio),
      },
    ];
  });
}

interface LimitRangeObject {
  readonly metadata?: { readonly name?: string };
  readonly spec?: {
    readonly limits?: readonly ({ readonly type?: string } & {
      readonly [bound in "min" | "max" | "maxLimitRequestRatio"]?: Readonly<Record<string, unknown>>;
    })[];
  };
}

function quantities(map: Readonly<Record<string, unknown>> | undefined): Readonly<Record<string, string>> {
  const readable = Object.entries(map ?? {}).filter(
    (entry): entry is [string, string] => typeof entry[1] === "string" && milliUnits(entry[1]) !== null,
  );
  return Object.fromEntries(readable);
}
