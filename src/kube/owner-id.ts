import { createHash } from "node:crypto";

/** What a UID looks like, with room: the API server takes any text for the UID of an owner. */
const SHAPE = /^(?!sha256:)[!-~]{1,128}$/;

/**
 * A controlling owner's UID in a form that is short and can stand in an annotation. It is the UID itself, or, where its
 * author wrote something that is no UID, "sha256:" and the hash of that. No two UIDs have one form.
 */
export function ownerIdOf(uid: string): string {
  return SHAPE.test(uid) ? uid : `sha256:${createHash("sha256").update(uid).digest("hex")}`;
}
