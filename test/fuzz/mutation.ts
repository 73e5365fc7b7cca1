import fc from "fast-check";
import type { FuzzTarget } from "./target.ts";

/** Longest input, in bytes: what breaks at a size breaks at less. */
export const MAX_INPUT = 256 * 1024;

/** One change of bytes at a place, the place a fraction of the input's length so that shrinking the input keeps it. */
type Mutation = (input: Buffer) => Buffer;

const place = fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true });
const at = (input: Buffer, fraction: number) => Math.floor(fraction * (input.length + 1));

const splice = (input: Buffer, start: number, removed: number, added: Uint8Array) =>
  Buffer.concat([input.subarray(0, start), added, input.subarray(start + removed)]).subarray(0, MAX_INPUT);

const overwrite = (input: Buffer, start: number, bytes: Uint8Array) => splice(input, start, bytes.length, bytes);

const flips = fc.tuple(place, fc.nat(7)).map(([where, bit]): Mutation => {
  return input => {
    const start = Math.min(at(input, where), input.length - 1);
    return input.length === 0 ? input : overwrite(input, start, Buffer.from([(input[start] ?? 0) ^ (1 << bit)]));
  };
});

const bytes = fc.tuple(place, fc.oneof(fc.constantFrom(0, 1, 0x20, 0x22, 0x30, 0x7f, 0x80, 0xff), fc.nat(255))).map(
  ([where, byte]): Mutation =>
    input =>
      overwrite(input, at(input, where), Buffer.from([byte])),
);

const truncations = place.map(
  (where): Mutation =>
    input =>
      input.subarray(0, at(input, where)),
);

const removals = fc.tuple(place, fc.nat(600)).map(
  ([where, length]): Mutation =>
    input =>
      splice(input, at(input, where), length, Buffer.alloc(0)),
);

const repetitions = fc.tuple(place, place, fc.nat(600), fc.nat(20)).map(([from, to, length, times]): Mutation => {
  return input => {
    const start = at(input, from);
    const part = input.subarray(start, start + length);
    return splice(input, at(input, to), 0, Buffer.concat(Array<Buffer>(times).fill(part)));
  };
});

const insertions = fc.tuple(place, fc.uint8Array({ maxLength: 40 })).map(
  ([where, added]): Mutation =>
    input =>
      splice(input, at(input, where), 0, added),
);

/** Numbers at the edges of what fields hold, in the forms in which formats write lengths. */
const edges = [0n, 1n, 2n, 0x7fn, 0x80n, 0xffn, 0x7fffn, 0xffffn, 0x7fffffffn, 0x80000000n, 0xffffffffn, 2n ** 53n];
const lengths = fc.tuple(place, fc.constantFrom(...edges), fc.nat(8)).map(([where, edge, form]): Mutation => {
  return input => overwrite(input, at(input, where), encoded(edge, form));
});

function encoded(edge: bigint, form: number): Buffer {
  const field = Buffer.alloc(8);
  field.writeBigUInt64LE(edge);
  const width = [1, 2, 4, 8][form % 4] ?? 1;
  if (form < 4) return field.subarray(0, width);
  if (form < 7) return Buffer.from(field.subarray(0, width)).reverse();
  return form === 7 ? Buffer.from(edge.toString(8).padStart(11, "0")) : Buffer.from(String(edge));
}

const tokenised = (tokens: readonly string[]) =>
  fc.tuple(place, fc.constantFrom(...tokens), fc.boolean()).map(([where, token, over]): Mutation => {
    const added = Buffer.from(token, "latin1");
    return input => splice(input, at(input, where), over ? added.length : 0, added);
  });

const splices = (seeds: readonly Buffer[]) =>
  fc.tuple(place, place, fc.constantFrom(...seeds)).map(([here, there, other]): Mutation => {
    return input =>
      Buffer.concat([input.subarray(0, at(input, here)), other.subarray(at(other, there))]).subarray(0, MAX_INPUT);
  });

/** Inputs for a target: its seeds, broken in up to eight places; now and then nothing but random bytes. */
export function inputsOf({ seeds, tokens = [], inputs }: FuzzTarget): fc.Arbitrary<Buffer> {
  const mutation = fc.oneof(
    flips,
    bytes,
    truncations,
    removals,
    repetitions,
    insertions,
    lengths,
    splices(seeds),
    ...(tokens.length > 0 ? [{ weight: 3, arbitrary: tokenised(tokens) }] : []),
  );
  const broken = fc
    .tuple(fc.constantFrom(...seeds), fc.array(mutation, { minLength: 1, maxLength: 8 }))
    .map(([seed, mutations]) => mutations.reduce((input, mutate) => mutate(input), seed));
  const random = fc.uint8Array({ maxLength: 2000 }).map(input => Buffer.from(input));
  const all = [
    { weight: 49, arbitrary: broken },
    { weight: 1, arbitrary: random },
    ...(inputs ? [{ weight: 50, arbitrary: inputs }] : []),
  ];
  return fc.oneof(...all).map(input => input.subarray(0, MAX_INPUT));
}
