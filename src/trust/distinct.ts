/**
 * How many authorities can each be given a signer of its own: one key under two names, or one signature that two
 * authorities take, counts once. The size of a largest matching (Kuhn's algorithm).
 * @param signers of each authority, those who signed for it
 */
export function distinctSigners(signers: readonly (readonly string[])[]): number {
  const given = new Map<string, number>();
  const assign = (authority: number, seen: Set<string>): boolean =>
    (signers[authority] ?? []).some(signer => {
      if (seen.has(signer)) return false;
      seen.add(signer);
      const holder = given.get(signer);
      if (holder !== undefined && !assign(holder, seen)) return false;
      given.set(signer, authority);
      return true;
    });
  return signers.filter((_, authority) => assign(authority, new Set())).length;
}
