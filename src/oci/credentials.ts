/** What proves to a registry who is asking. */
export type Credential = PasswordCredential | IdentityToken | RegistryToken;

/** Sent to the registry (Basic) or to the realm that it names. */
export interface PasswordCredential {
  readonly kind: "password";
  readonly username: string;
  readonly password: string;
}

/** An OAuth2 refresh token, such as `docker login` keeps: only a realm takes it. */
export interface IdentityToken {
  readonly kind: "identityToken";
  /** "<token>" where nobody said whose it is. */
  readonly username: string;
  readonly token: string;
}

/** A Bearer token for the registry itself, which asks no realm. */
export interface RegistryToken {
  readonly kind: "registryToken";
  readonly token: string;
}

/**
 * The credentials for a repository, best first. All are tried in this order where the registry refuses one; none means
 * anonymous. Called for each request, so a changed secret counts at once.
 * @throws {RegistryError} BadCredentials
 */
export type CredentialSource = (
  registry: string,
  repository: string,
) => readonly Credential[] | Promise<readonly Credential[]>;

/** More are not tried: each costs the registry a failed login. */
export const MAX_CREDENTIALS = 8;

/** Docker's mark, in the place of a user name, of a password that is an identity token. */
export const TOKEN_USERNAME = "<token>";

/** RFC 7617. */
export function basicAuthorization(username: string, password: string): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString("base64")}`;
}
