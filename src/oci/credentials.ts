/** What proves to a registry who is asking. A union, because tokens and certificates are credentials too. */
export type Credential = PasswordCredential;

export interface PasswordCredential {
  readonly kind: "password";
  readonly username: string;
  readonly password: string;
}

/**
 * The credentials for a repository, best first. All are tried in this order where the registry refuses one; none means
 * anonymous. Called for each operation, so a changed secret counts at once.
 */
export type CredentialSource = (registry: string, repository: string) => readonly Credential[];

/** More are not tried: each costs the registry a failed login. */
export const MAX_CREDENTIALS = 8;

export function basicAuthorization({ username, password }: PasswordCredential): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString("base64")}`;
}
