import type { ApiServer } from "../kube/api-server.ts";
import { CollectionWatch, type Interruption, WATCH_SETTINGS } from "../kube/collection-watch.ts";
import { LEVEL_LOOP_SETTINGS, LevelLoop, type LevelLoopSettings } from "../kube/level-loop.ts";
import { metadataKind, type ObjectMetadata } from "../kube/object-metadata.ts";
import { type SecretStore, secretsPath } from "../kube/secret.ts";
import { type Leaf, type ServerNames, x509Certificates } from "./certificates.ts";
import { type CertificateObserver, CertificateReconciler } from "./reconciler.ts";
import { clusterRegistrations, REGISTRATION_KINDS, registrationsPath } from "./registrations.ts";
import { CERTIFICATE_TERMS, type CertificateTerms } from "./terms.ts";

/** Common name of authorities that wasmount makes. */
export const AUTHORITY_NAME = "wasmount webhook CA";

export interface SelfMadeDependencies {
  readonly server: ApiServer;
  /** The operator's own. */
  readonly namespace: string;
  readonly secret: { readonly name: string; readonly store: SecretStore };
  /** Name of both registrations. */
  readonly registration: string;
  readonly names: ServerNames;
  readonly observer: CertificateObserver;
  /** Told of what could not be done; what is served goes on to serve. Null: it could. */
  readonly failed: (error: unknown) => void;
  readonly recovered: () => void;
  readonly interrupted: (reason: Interruption) => void;
  readonly terms?: CertificateTerms;
  readonly loop?: LevelLoopSettings;
  readonly wall: () => number;
  readonly monotonic: () => number;
  readonly random: () => number;
  readonly sleep: (milliseconds: number, signal: AbortSignal) => Promise<void>;
}

/** Certificates that a replica makes for itself, of an authority that it shares with the others. */
export interface SelfMadeCertificates {
  /** Null while there is none. */
  leaf(): Leaf | null;
  /** Tells of another leaf. */
  listen(changed: () => void): void;
  notReady(): string | null;
  authorityEnds(): Date | null;
  close(): Promise<void>;
}

/** Reconciles at times, and whenever the Secret or one of the registrations changes. */
export function selfMadeCertificates(given: SelfMadeDependencies): SelfMadeCertificates {
  const { server, namespace, secret, registration, names, observer, terms = CERTIFICATE_TERMS } = given;
  const { wall, monotonic, random, sleep } = given;
  let changed = () => {};
  const certificates = x509Certificates(AUTHORITY_NAME);
  const reconciler = new CertificateReconciler({
    secrets: secret.store,
    registrations: clusterRegistrations(server, registration, certificates.readAuthorities),
    certificates,
    names,
    terms,
    observer: {
      ...observer,
      serving(leaf) {
        observer.serving(leaf);
        changed();
      },
    },
    wall,
    monotonic,
  });
  const loop = new LevelLoop({
    async run(signal) {
      const state = await reconciler.run(signal);
      given.recovered();
      return state;
    },
    failed: given.failed,
    settings: given.loop ?? LEVEL_LOOP_SETTINGS,
    random,
    sleep,
  });
  // What they say is read anew anyway: they tell when.
  const watches = [
    { path: secretsPath(namespace), name: secret.name },
    ...REGISTRATION_KINDS.map(kind => ({ path: registrationsPath(kind), name: registration })),
  ].map(
    ({ path, name }) =>
      new CollectionWatch<ObjectMetadata>({
        server,
        path,
        fieldSelector: `metadata.name=${name}`,
        kind: metadataKind(() => false),
        changed: () => loop.wake(),
        settings: WATCH_SETTINGS,
        interrupted: given.interrupted,
        now: monotonic,
        random,
        sleep,
      }),
  );
  return {
    leaf: () => reconciler.leaf,
    listen(listener) {
      changed = listener;
    },
    notReady: () => reconciler.notReady(),
    authorityEnds: () => (reconciler.authorityEnds === null ? null : new Date(reconciler.authorityEnds)),
    async close() {
      await Promise.all([loop.close(), ...watches.map(watch => watch.close())]);
    },
  };
}
