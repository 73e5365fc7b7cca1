{{/* Values that can't all be meant: each is refused with what would be right. */}}
{{- define "wasmount.contradictions" -}}
{{- with .Values.certificates }}
{{- if and (ne .mode "provided") (or .provided.secretName .provided.caBundle) }}
{{- fail (printf "certificates.provided is set, but certificates.mode is %s: write mode provided, or leave it out" .mode) }}
{{- end }}
{{- if and (eq .mode "provided") (not .provided.secretName) }}
{{- fail "certificates.mode is provided: name the Secret with the certificate, certificates.provided.secretName" }}
{{- end }}
{{- if and (ne .mode "certManager") .certManager.issuerRef }}
{{- fail (printf "certificates.certManager.issuerRef is set, but certificates.mode is %s: write mode certManager, or leave it out" .mode) }}
{{- end }}
{{- end }}
{{- if and .Values.plan.provided.secretName (not .Values.plan.sign) }}
{{- fail "plan.provided.secretName is set, but plan.sign is false" }}
{{- end }}
{{- with .Values.autoscaling }}
{{- if and .enabled (gt (int64 .minReplicas) (int64 .maxReplicas)) }}
{{- fail (printf "autoscaling.minReplicas is %d, more than maxReplicas, %d" (int64 .minReplicas) (int64 .maxReplicas)) }}
{{- end }}
{{- end }}
{{- with .Values.podDisruptionBudget }}
{{- if and .enabled (has (toString .maxUnavailable) (list "0" "0%")) }}
{{- fail "podDisruptionBudget.maxUnavailable is 0, so no node with a replica could be drained: write 1, or enabled false" }}
{{- end }}
{{- end }}
{{- if eq (int64 .Values.ports.admission) (int64 .Values.ports.health) }}
{{- fail (printf "ports.admission and ports.health are both %d" (int64 .Values.ports.health)) }}
{{- end }}
{{- if .Values.hostNetwork }}
{{- if eq .Values.dnsPolicy "ClusterFirst" }}
{{- fail "hostNetwork is on, where dnsPolicy ClusterFirst finds no names of the cluster: write ClusterFirstWithHostNet" }}
{{- end }}
{{- range $name, $port := .Values.ports }}
{{- if eq (int64 $port) 10250 }}
{{- fail (printf "hostNetwork is on, and ports.%s is 10250, which is the kubelet's on every node: write another one, such as 10260" $name) }}
{{- end }}
{{- end }}
{{- if .Values.networkPolicy.enabled }}
{{- fail "hostNetwork is on, where NetworkPolicies do not hold: write networkPolicy.enabled false" }}
{{- end }}
{{- else if eq .Values.dnsPolicy "ClusterFirstWithHostNet" }}
{{- fail "dnsPolicy ClusterFirstWithHostNet is for hostNetwork, which is off" }}
{{- end }}
{{- $review := float64 .Values.limits.reviewSeconds }}
{{- if gt (addf $review 0.5) (float64 .Values.webhook.timeoutSeconds) }}
{{- fail (printf "webhook.timeoutSeconds is %d: write at least half a second more than limits.reviewSeconds, %v" (int64 .Values.webhook.timeoutSeconds) .Values.limits.reviewSeconds) }}
{{- end }}
{{- if ge (float64 .Values.limits.resolveSeconds) $review }}
{{- fail (printf "limits.resolveSeconds is %v: write less than limits.reviewSeconds, %v" .Values.limits.resolveSeconds .Values.limits.reviewSeconds) }}
{{- end }}
{{- if ge (add (int64 .Values.listen.drainSeconds) (int64 .Values.listen.lingerSeconds)) (int64 .Values.terminationGracePeriodSeconds) }}
{{- fail (printf "terminationGracePeriodSeconds is %d: write more than listen.drainSeconds and listen.lingerSeconds, %d and %d, together" (int64 .Values.terminationGracePeriodSeconds) (int64 .Values.listen.drainSeconds) (int64 .Values.listen.lingerSeconds)) }}
{{- end }}
{{- if and (eq .Values.webhook.failurePolicy "Ignore") (not .Values.guards.enabled) (eq .Values.policy.unmatched "Deny") }}
{{- fail "webhook.failurePolicy is Ignore and guards.enabled false: pods would start without their filters while the webhook is down, and policy.unmatched Deny would mean nothing. Write failurePolicy Fail, or guards.enabled true" }}
{{- end }}
{{- if and .Values.guards.previousImages (not .Values.guards.enabled) }}
{{- fail "guards.previousImages is set, but guards.enabled is false" }}
{{- end }}
{{- with .Values.networkPolicy }}
{{- if and .enabled (not .apiServerCidrs) }}
{{- fail "networkPolicy.enabled needs networkPolicy.apiServerCidrs: nobody would reach the webhook, and no opted-in pod would be created" }}
{{- end }}
{{- if and .egress.enabled (not .enabled) }}
{{- fail "networkPolicy.egress.enabled is set, but networkPolicy.enabled is false" }}
{{- end }}
{{- if and .enabled $.Values.metrics.serviceMonitor.enabled (not .metricsNamespaces) }}
{{- fail "metrics.serviceMonitor.enabled needs networkPolicy.metricsNamespaces: Prometheus could not reach the metrics" }}
{{- end }}
{{- end }}
{{- range $index, $registry := .Values.registries }}
{{- if and $registry.ca $registry.caConfigMap }}
{{- fail (printf "registries[%d] (%s) has ca and caConfigMap: one of them" $index $registry.host) }}
{{- end }}
{{- if and $registry.plainHttp (or $registry.ca $registry.caConfigMap $registry.clientCertSecret $registry.insecureTls) }}
{{- fail (printf "registries[%d] (%s) has plainHttp, so what it says of TLS would mean nothing" $index $registry.host) }}
{{- end }}
{{- end }}
{{- with .Values.network.proxy }}
{{- if and .credentialsSecret.name (not .http) (not .https) }}
{{- fail "network.proxy.credentialsSecret is set, but no proxy" }}
{{- end }}
{{- end }}
{{- if and (not .Values.serviceAccount.create) .Values.serviceAccount.annotations }}
{{- fail "serviceAccount.annotations is set, but serviceAccount.create is false" }}
{{- end }}
{{- if has .Values.test.namespace (fromJsonArray (include "wasmount.excludedNamespaces" .)) }}
{{- fail (printf "test.namespace is %s, which the webhook is never asked about: name another one" .Values.test.namespace) }}
{{- end }}
{{- end }}
