/** In characters. A shorter piece of a secret gives too little of it away, and is found in any text. */
const PIECE = 8;

/** What a registry was shown to prove who is asking: its answers may quote it, as pages that help with mistakes do. */
export class ShownSecrets {
  readonly #authorizations = new Set<string>();

  /** @param authorization the header's value, "Basic …" or "Bearer …" */
  add(authorization: string): void {
    this.#authorizations.add(authorization);
  }

  /** Whether a text holds a piece of something that was shown, as it is or in an encoding that answers are written in. */
  repeatedIn(text: string): boolean {
    const secrets = [...this.#authorizations].flatMap(secretsOf).flatMap(spellings);
    return secrets.some(secret => holdsPiece(text, secret));
  }
}

/** What is secret in the value of an Authorization header: its token, and the password that one of Basic's holds. */
function secretsOf(authorization: string): readonly string[] {
  const [scheme, token = ""] = authorization.split(" ");
  if (scheme !== "Basic") return [token];
  const pair = Buffer.from(token, "base64").toString();
  return [token, pair.slice(pair.indexOf(":") + 1)];
}

function spellings(secret: string): readonly string[] {
  const form = new URLSearchParams({ "": secret }).toString().slice(1);
  const json = JSON.stringify(secret).slice(1, -1);
  return [secret, form, encodeURIComponent(secret), json, Buffer.from(secret).toString("base64")];
}

/** A text may break off in the middle of a secret, or begin there. A secret that is shorter than a piece counts whole. */
function holdsPiece(text: string, secret: string): boolean {
  const length = Math.min(PIECE, secret.length);
  if (length === 0) return false;
  for (let at = 0; at + length <= text.length; at += 1) {
    if (secret.includes(text.slice(at, at + length))) return true;
  }
  return false;
}
