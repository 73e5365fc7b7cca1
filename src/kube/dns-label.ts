/** A DNS label (RFC 1123): what filters, slots and containers are called. */
export const DNS_LABEL = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;
