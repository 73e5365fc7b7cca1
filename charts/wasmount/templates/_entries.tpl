{{/*
The entries of both registrations: which pods reach the webhook, and by which of its paths. At most one matches a pod, so
that it is called once a pass. "Not locked" takes two entries, since no selector says "absent or false" and leaves out what
is junk: that calls us, to be refused. The same as a table: docs/switch.md.
*/}}
{{- define "wasmount.entries" -}}
- name: locked
  path: locked
  namespace:
    - {key: wasmount.dev/locked, operator: Exists}
    - {key: wasmount.dev/locked, operator: NotIn, values: ["false"]}
- name: namespace
  path: namespace
  namespace:
    - {key: wasmount.dev/locked, operator: DoesNotExist}
    - {key: wasmount.dev/inject, operator: Exists}
    - {key: wasmount.dev/inject, operator: NotIn, values: ["false"]}
  object:
    - {key: wasmount.dev/inject, operator: NotIn, values: ["false"]}
- name: namespace-unlocked
  path: namespace
  namespace:
    - {key: wasmount.dev/locked, operator: In, values: ["false"]}
    - {key: wasmount.dev/inject, operator: Exists}
    - {key: wasmount.dev/inject, operator: NotIn, values: ["false"]}
  object:
    - {key: wasmount.dev/inject, operator: NotIn, values: ["false"]}
- name: pod
  path: pod
  namespace:
    - {key: wasmount.dev/locked, operator: DoesNotExist}
    - {key: wasmount.dev/inject, operator: DoesNotExist}
  object:
    - {key: wasmount.dev/inject, operator: Exists}
    - {key: wasmount.dev/inject, operator: NotIn, values: ["false"]}
- name: pod-off
  path: pod
  namespace:
    - {key: wasmount.dev/locked, operator: DoesNotExist}
    - {key: wasmount.dev/inject, operator: In, values: ["false"]}
  object:
    - {key: wasmount.dev/inject, operator: Exists}
    - {key: wasmount.dev/inject, operator: NotIn, values: ["false"]}
- name: pod-unlocked
  path: pod
  namespace:
    - {key: wasmount.dev/locked, operator: In, values: ["false"]}
    - {key: wasmount.dev/inject, operator: DoesNotExist}
  object:
    - {key: wasmount.dev/inject, operator: Exists}
    - {key: wasmount.dev/inject, operator: NotIn, values: ["false"]}
- name: pod-unlocked-off
  path: pod
  namespace:
    - {key: wasmount.dev/locked, operator: In, values: ["false"]}
    - {key: wasmount.dev/inject, operator: In, values: ["false"]}
  object:
    - {key: wasmount.dev/inject, operator: Exists}
    - {key: wasmount.dev/inject, operator: NotIn, values: ["false"]}
{{- end }}

{{/* What both registrations have of metadata but their kind. */}}
{{- define "wasmount.registrationMetadata" -}}
name: wasmount
labels: {{- include "wasmount.labels" . | nindent 2 }}
{{- $annotations := .Values.webhook.annotations }}
{{- if eq .Values.certificates.mode "certManager" }}
{{- $annotations = set (deepCopy $annotations) "cert-manager.io/inject-ca-from" (printf "%s/wasmount-webhook" .Release.Namespace) }}
{{- end }}
{{- with $annotations }}
annotations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* One entry. Takes the chart's root, the side (mutate or validate) and the entry. */}}
{{- define "wasmount.entry" -}}
{{- $ := .root -}}
name: {{ .entry.name }}.wasmount.dev
admissionReviewVersions: [v1]
clientConfig:
  {{- if eq $.Values.certificates.mode "provided" }}
  {{- with $.Values.certificates.provided.caBundle }}
  caBundle: {{ . | b64enc }}
  {{- end }}
  {{- end }}
  service:
    namespace: {{ $.Release.Namespace }}
    name: wasmount-webhook
    port: {{ $.Values.service.port | int64 }}
    path: /{{ .side }}/{{ .entry.path }}
rules:
  # Creations only, so that nothing that runs waits for us.
  - {apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [pods], scope: Namespaced}
failurePolicy: {{ $.Values.webhook.failurePolicy }}
matchPolicy: Equivalent
# Events and pinned tags: not on a dry run.
sideEffects: NoneOnDryRun
timeoutSeconds: {{ $.Values.webhook.timeoutSeconds | int64 }}
matchConditions:
  # A static pod runs whatever becomes of its mirror.
  - name: not-a-mirror-pod
    expression: >-
      !has(object.metadata.annotations) || !('kubernetes.io/config.mirror' in object.metadata.annotations)
  {{- with $.Values.webhook.matchConditions }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
namespaceSelector:
  matchExpressions:
    # Namespaces of the system and our own are never asked about, or a cluster could not start without us.
    - {key: kubernetes.io/metadata.name, operator: NotIn, values: {{ include "wasmount.excludedNamespaces" $ }}}
    {{- toYaml .entry.namespace | nindent 4 }}
{{- with .entry.object }}
objectSelector:
  matchExpressions: {{- toYaml . | nindent 4 }}
{{- end }}
{{- end }}
