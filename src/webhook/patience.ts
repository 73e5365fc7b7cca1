/** The HTTPS server's patience with its callers, in milliseconds. */
export interface Patience {
  readonly handshakeMs: number;
  /** From the first byte of a call to the end of its headers. */
  readonly headersMs: number;
  /** From there to the end of its body. An API server has given up by then. */
  readonly requestMs: number;
  /** How often the two are looked at: a caller may have so much more. */
  readonly checkMs: number;
  /** Before a first call, and between two. API servers keep idle connections for about 90 s: closing first would race with a call. */
  readonly keepAliveMs: number;
}

export const PATIENCE: Patience = {
  handshakeMs: 5_000,
  headersMs: 5_000,
  requestMs: 10_000,
  checkMs: 1_000,
  keepAliveMs: 120_000,
};
