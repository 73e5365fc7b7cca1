/**
 * The 16 bytes of an IPv6 address (RFC 4291 section 2.2).
 * @param address one that `isIPv6` knows, without a zone
 */
export function ipv6Bytes(address: string): Buffer {
  const hex = address.replace(/(\d+)\.(\d+)\.(\d+)\.(\d+)$/, (_all, ...parts: string[]) => {
    const [a = 0, b = 0, c = 0, d = 0] = parts.slice(0, 4).map(Number);
    return `${(a * 256 + b).toString(16)}:${(c * 256 + d).toString(16)}`;
  });
  const [head = "", tail] = hex.split("::");
  const left = groups(head);
  const right = groups(tail ?? "");
  const zeros = Array<string>(8 - left.length - right.length).fill("0");
  return Buffer.from([...left, ...zeros, ...right].map(group => group.padStart(4, "0")).join(""), "hex");
}

function groups(text: string): string[] {
  return text === "" ? [] : text.split(":");
}
