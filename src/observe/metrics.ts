import { Counter, collectDefaultMetrics, Histogram, Registry } from "prom-client";
import type { Decision } from "../admission/decision.ts";

/** What the webhook counts. Labels are closed sets: outcomes, reasons and states, never names. */
export interface Metrics {
  decided(decision: Decision, seconds: number): void;
  failed(seconds: number): void;
  rejected(status: number): void;
  /** The Prometheus text exposition, and its content type. */
  expose(): Promise<{ readonly contentType: string; readonly text: string }>;
}

export function createMetrics(): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const decisions = new Counter({
    name: "wasmount_admission_decisions_total",
    help: "Pods decided about, by outcome and reason.",
    labelNames: ["outcome", "reason"] as const,
    registers: [registry],
  });
  const failures = new Counter({
    name: "wasmount_admission_failures_total",
    help: "Reviews that ended in an internal error and followed the failure policy.",
    registers: [registry],
  });
  const rejections = new Counter({
    name: "wasmount_admission_rejections_total",
    help: "Requests that were no readable AdmissionReview, by HTTP status.",
    labelNames: ["status"] as const,
    registers: [registry],
  });
  const duration = new Histogram({
    name: "wasmount_admission_duration_seconds",
    help: "Time from a review's arrival to its answer.",
    buckets: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5],
    registers: [registry],
  });
  return {
    decided({ outcome, reason }, seconds) {
      decisions.inc({ outcome, reason });
      duration.observe(seconds);
    },
    failed(seconds) {
      failures.inc();
      duration.observe(seconds);
    },
    rejected(status) {
      rejections.inc({ status });
    },
    async expose() {
      return { contentType: registry.contentType, text: await registry.metrics() };
    },
  };
}
