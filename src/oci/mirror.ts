/** Another registry that has a registry's content, or fetches it. It gets credentials of its own and no others. */
export interface MirrorSettings {
  readonly host: string;
  /** What stands before repositories there, such as "proxy-cache"; "" for nothing. */
  readonly prefix?: string | undefined;
  /**
   * Whether to believe what no digest proves: which digest a tag has, which tags and which referrers there are.
   * Default: no.
   */
  readonly resolveTags?: boolean | undefined;
}

/** What a repository is called in a mirror. */
export function mirroredRepository({ prefix = "" }: Pick<MirrorSettings, "prefix">, repository: string): string {
  return prefix === "" ? repository : `${prefix}/${repository}`;
}
