import { createHash } from "node:crypto";

/** What a UID looks like, with room: the API server takes any text for the UID of an owner. */
const SHAPE = /^(?!sha256:)[!-~]{1,128}$/;

/** By this label a StatefulSet or DaemonSet tells the pods of one template from those of the next. */
const REVISION = "controller-revision-hash";

/**
 * What tells one rollout's pods from others': their controlling owner's UID, and its revision where one owner outlives
 * its templates. A Deployment has another ReplicaSet for each.
 * @param uid "" for a pod without an owner, which is in no rollout: the result is "", too
 */
export function rolloutOf(uid: string, labels: Readonly<Record<string, string>> | null | undefined): string {
  const revision = labels?.[REVISION];
  return uid === "" || revision === undefined ? uid : `${uid}/${revision}`;
}

/**
 * A controlling owner's UID in a form that is short and can stand in an annotation. It is the UID itself, or, where its
 * author wrote something that is no UID, "sha256:" and the hash of that. No two UIDs have one form.
 */
export function ownerIdOf(uid: string): string {
  return SHAPE.test(uid) ? uid : `sha256:${createHash("sha256").update(uid).digest("hex")}`;
}
