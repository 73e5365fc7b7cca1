const UNITS = ["B", "KiB", "MiB", "GiB", "TiB"] as const;

/** A size for people: three significant digits at most, "12.5 KiB". @param bytes not negative */
export function sizeText(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  const digits = unit === 0 || value >= 100 ? 0 : value >= 10 ? 1 : 2;
  return `${value.toFixed(digits)} ${UNITS[unit]}`;
}
