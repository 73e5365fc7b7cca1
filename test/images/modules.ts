/** The smallest module that Envoy loads: a memory, malloc and the mark of the ABI. */
export const GOOD_MODULE = Buffer.from(
  "AGFzbQEAAAABCQJgAABgAX8BfwMDAgABBQMBAAEHLQMGbWVtb3J5AgAXcHJveHlfYWJpX3ZlcnNpb25fMF8yXzEAAAZtYWxsb2MAAQoJAgIACwQAQQAL",
  "base64",
);
