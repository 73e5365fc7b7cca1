import { inMicroseconds } from "../rfc3339.ts";
/** What an Event tells, and about which object. */
export interface EventContent {
  readonly regarding: EventSubject;
  /** Normal is for what went well. */
  readonly type: "Normal" | "Warning";
  /** One word, for machines. */
  readonly reason: string;
  /** What was done, in one word. */
  readonly action: string;
  /** For people. What differs from one pod to the next has no place here: equal Events become one. */
  readonly note: string;
}

/** An object that Events are about. Events about a Namespace are kept in it. */
export interface EventSubject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly namespace: string;
  /** Absent where it is not known. */
  readonly uid?: string;
}

/** Who writes Events: shown by `kubectl describe` beside each. */
export interface EventReporter {
  /** A qualified name, such as "wasmount.dev/webhook". */
  readonly controller: string;
  /** The replica. */
  readonly instance: string;
}

/** Limits of the API server's validation (events.k8s.io/v1). */
const NOTE_BYTES = 1024;
const WORD_LENGTH = 128;
const NAME_LENGTH = 253;

/**
 * A new Event (events.k8s.io/v1).
 * @param suffix makes its name unique: up to 32 of a-z and 0-9
 * @param time milliseconds since 1970
 */
export function eventObject(content: EventContent, reporter: EventReporter, suffix: string, time: number): object {
  const { regarding, type, reason, action, note } = content;
  return {
    apiVersion: "events.k8s.io/v1",
    kind: "Event",
    metadata: { name: eventName(regarding.name, suffix), namespace: regarding.namespace },
    eventTime: inMicroseconds(time),
    reportingController: reporter.controller,
    reportingInstance: reporter.instance.slice(0, WORD_LENGTH),
    action: action.slice(0, WORD_LENGTH),
    reason: reason.slice(0, WORD_LENGTH),
    regarding,
    note: shortened(note, NOTE_BYTES),
    type,
  };
}

/** What changes in an Event that happened again: its only mutable part. @param count how often in all, 2 or more */
export function eventSeries(count: number, time: number): object {
  return { series: { count, lastObservedTime: inMicroseconds(time) } };
}

/** A name made of another one, which may be anybody's text, as the API server takes it: a DNS subdomain. */
export function eventName(subject: string, suffix: string): string {
  const stem = subject
    .toLowerCase()
    .replace(/[^a-z0-9.-]/g, "-")
    .slice(0, NAME_LENGTH - 1 - suffix.length)
    .split(".")
    .map(label => label.replace(/^-+|-+$/g, ""))
    .filter(label => label !== "")
    .join(".");
  return stem === "" ? suffix : `${stem}.${suffix}`;
}

/** Cut at a character, not inside of one. */
function shortened(text: string, bytes: number): string {
  if (Buffer.byteLength(text) <= bytes) return text;
  const whole = Buffer.from(text).subarray(0, bytes - Buffer.byteLength("…"));
  return `${whole.toString("utf8").replace(/\ufffd+$/, "")}…`;
}
