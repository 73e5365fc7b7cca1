import { mayBeAdded } from "../config/added-environment.ts";
import type { Config } from "../config/config.ts";
import { type OrRefusal, type Refusal, refuse } from "../decision/refusal.ts";
import type { Container } from "../kube/pod.ts";
import { PlanError } from "../plan/error.ts";
import type { Plan } from "../plan/plan.ts";
import { type PlanKeys, verifyPlan } from "../plan/signature.ts";
import { planFromEnvironment, SIGNATURE } from "../plan/transport.ts";

/** The plan that a fetcher carries. */
export interface CarriedPlan {
  readonly plan: Plan;
  /** SHA-256 of the plan's text as carried, 64 hex digits. */
  readonly hash: string;
}

/** Whom the plan must have been signed for. */
export interface PlanSubject {
  readonly namespace: string;
  /** UID of the pod's controlling owner; "" for a pod without one. */
  readonly owner: string;
}

/** Whose signatures count, and what else than the plan a fetcher's environment may hold. */
export interface CarriageRules {
  /** null where this operator's plans are not signed. */
  readonly keys: PlanKeys | null;
  readonly fetcher: Pick<Config["fetcher"], "allowedEnvironment">;
}

interface Variable {
  readonly name: string;
  readonly value: string | undefined;
}

const PART = /^WASMOUNT_PLAN_(0|[1-9]\d{0,2})$/;
const HASH = "WASMOUNT_PLAN_SHA256";
/** Base64, hex and base64url. Without "$", of which the kubelet would make something else than was checked here. */
const VALUE = /^[A-Za-z0-9+/=._-]+$/;

/**
 * Reads the plan out of a fetcher's environment, and checks that wasmount signed it for such a pod, and that nothing
 * else is there. Compressed bytes are not compared: another release of zlib makes others of the same plan.
 */
export function readCarriedPlan(
  fetcher: Container,
  subject: PlanSubject,
  rules: CarriageRules,
): OrRefusal<CarriedPlan> {
  const environment = new Map<string, string>();
  for (const [index, variable] of variablesOf(fetcher).entries()) {
    const { name, value } = variable;
    if (environment.has(name)) return altered(`env[${index}] sets ${name} again`);
    if (mayBeAdded(name, rules.fetcher.allowedEnvironment)) continue;
    if (!isOurs(name, rules.keys)) return altered(`env[${index}] sets ${name}`);
    if (Object.keys(variable).length > 2 || value === undefined || !VALUE.test(value)) {
      return altered(`the value of ${name} in env[${index}] is none that wasmount writes`);
    }
    environment.set(name, value);
  }
  // The reader stops at the first gap, and what stands behind it would never be looked at.
  const parts = [...environment.keys()].filter(name => PART.test(name));
  const stray = parts.find(name => Number(PART.exec(name)?.[1]) >= parts.length);
  if (stray !== undefined) return altered(`env sets ${stray}, and not all parts before it`);
  return verified(Object.fromEntries(environment), subject, rules.keys);
}

/** Nothing has checked their types yet. */
function variablesOf({ env }: Container): readonly Variable[] {
  const variables: readonly unknown[] = Array.isArray(env) ? env : [];
  return variables.map(variable => {
    const { name, value, ...rest } = (variable ?? {}) as Readonly<Record<string, unknown>>;
    return { ...rest, name: String(name), value: typeof value === "string" ? value : undefined };
  });
}

function verified(
  environment: Readonly<Record<string, string>>,
  subject: PlanSubject,
  keys: PlanKeys | null,
): OrRefusal<CarriedPlan> {
  try {
    const carried = planFromEnvironment(environment);
    if (keys !== null) verifyPlan({ ...subject, hash: carried.hash }, environment[SIGNATURE] ?? "", keys);
    return carried;
  } catch (error) {
    if (!(error instanceof PlanError)) throw error;
    return refuse(error.code === "UnknownSchema" ? "PlanOutdated" : "PlanForged", error.message);
  }
}

function isOurs(name: string, keys: PlanKeys | null): boolean {
  return name === HASH || PART.test(name) || (name === SIGNATURE && keys !== null);
}

function altered(detail: string): Refusal {
  return refuse("FetcherAltered", detail);
}
