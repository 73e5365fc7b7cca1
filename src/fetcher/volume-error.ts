import { messageOf } from "../error.ts";
import { FetchError } from "./error.ts";

/** Does something with the volume. @throws FetchError Volume, with what it was and what would help */
export function guard<Value>(what: string, action: () => Value): Value {
  try {
    return action();
  } catch (error) {
    throw error instanceof FetchError ? error : volumeError(what, error);
  }
}

export function volumeError(what: string, error: unknown): FetchError {
  const code = (error as NodeJS.ErrnoException).code;
  const advice =
    code === "ENOSPC"
      ? ": the volume is full, raise volume.sizeLimit"
      : code === "EACCES" || code === "EPERM"
        ? ": the volume belongs to another user"
        : "";
  return new FetchError("Volume", `can't ${what}: ${messageOf(error)}${advice}`, { cause: error });
}
