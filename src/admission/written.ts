/** One annotation's value with the object it was written on, for messages. */
export interface Written {
  readonly value: string;
  readonly where: string;
}

/** A user's value in a message: quoted, escaped and short. */
export function quote(value: string): string {
  return JSON.stringify(value.length > 64 ? `${value.slice(0, 61)}...` : value);
}
