import { RegistryError, type RegistryErrorCode } from "../oci/error.ts";
import type { AdmissionClient } from "./namespace-registries.ts";

/** How a question to a registry ended. */
export type ResolutionOutcome = "Resolved" | RegistryErrorCode | "Failed";

/**
 * A client that tells how each of its resolutions ended.
 * @param told with the time that it took, in seconds
 */
export function counted(
  client: AdmissionClient,
  told: (outcome: ResolutionOutcome, seconds: number) => void,
  monotonic: () => number,
): AdmissionClient {
  return {
    limits: client.limits,
    async resolve(reference, signal) {
      const started = monotonic();
      const tell = (outcome: ResolutionOutcome) => told(outcome, (monotonic() - started) / 1000);
      try {
        const found = await client.resolve(reference, signal);
        tell("Resolved");
        return found;
      } catch (error) {
        tell(error instanceof RegistryError ? error.code : "Failed");
        throw error;
      }
    },
    manifest: (...asked) => client.manifest(...asked),
    blob: (...asked) => client.blob(...asked),
    referrers: (...asked) => client.referrers(...asked),
    close: () => client.close(),
  };
}
