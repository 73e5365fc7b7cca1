/**
 * A resource quantity in thousandths, or null for text that is none (k8s.io/apimachinery resource.Quantity). Amounts
 * below a thousandth are rounded up, as the API server does.
 */
export function milliUnits(text: string): bigint | null {
  const match = /^(\d{1,18})(?:\.(\d{1,9}))?(m|[kMGTPE]|[KMGTPE]i|[eE]\d{1,2})?$/.exec(text);
  if (match === null) return null;
  const [, whole = "0", fraction = "", suffix = ""] = match;
  const digits = BigInt(whole + fraction);
  const divisor = 10n ** BigInt(fraction.length);
  const scaled = digits * thousandths(suffix);
  return (scaled + divisor - 1n) / divisor;
}

/**
 * The spelling that the API server stores: no fraction, the largest suffix of the same family that leaves none. Written
 * otherwise, a second admission pass would find something to change. Exponents, a family of their own, are not taken.
 * @throws TypeError for text that is no quantity
 */
export function canonicalQuantity(text: string): string {
  const amount = milliUnits(text);
  if (amount === null || /[eE]\d/.test(text)) throw new TypeError(`${JSON.stringify(text)} is not a quantity`);
  if (amount === 0n) return "0";
  const family = text.endsWith("i") && amount % 1000n === 0n && amount >= 1_024_000n ? BINARY : DECIMAL;
  const suffix = family.findLast(candidate => amount % thousandths(candidate) === 0n) ?? "m";
  return `${amount / thousandths(suffix)}${suffix}`;
}

/**
 * The canonical spelling of an amount in thousandths: binary suffixes where at least Ki fits, which is how memory is
 * written; an amount below 1000 units has none either way.
 */
export function fromMilliUnits(amount: bigint): string {
  const whole = amount % 1000n === 0n;
  const binary = whole && (amount / 1000n) % 1024n === 0n && amount !== 0n;
  return canonicalQuantity(binary ? `${amount / 1_024_000n}Ki` : whole ? `${amount / 1000n}` : `${amount}m`);
}

const DECIMAL = ["m", "", "k", "M", "G", "T", "P", "E"];
const BINARY = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];

/** How many thousandths one unit of a suffix is. */
function thousandths(suffix: string): bigint {
  if (suffix === "m") return 1n;
  if (/^[eE]\d/.test(suffix)) return 1000n * 10n ** BigInt(suffix.slice(1));
  if (suffix.endsWith("i")) return 1000n * 1024n ** BigInt(BINARY.indexOf(suffix));
  return 1000n * 1000n ** BigInt(DECIMAL.indexOf(suffix) - 1);
}
