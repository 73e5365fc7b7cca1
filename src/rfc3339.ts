/** A time without fractions, as Kubernetes' Time and OCI's annotations have it: "2026-01-31T12:00:00Z". */
export function inSeconds(time: Date): string {
  return time.toISOString().replace(/\.\d+Z$/, "Z");
}

/** A time with six digits, as Kubernetes' MicroTime has it. @param time milliseconds since 1970 */
export function inMicroseconds(time: number): string {
  return new Date(time).toISOString().replace("Z", "000Z");
}
