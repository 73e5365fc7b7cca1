/** The host of a URL, an IPv6 address without its brackets. */
export function hostnameOf({ hostname }: Pick<URL, "hostname">): string {
  return hostname.startsWith("[") ? hostname.slice(1, -1) : hostname;
}
