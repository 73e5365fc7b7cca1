{{/* wasmount is the only one of its cluster: its objects are called the same in every release. */}}

{{- define "wasmount.selectorLabels" -}}
app.kubernetes.io/name: wasmount
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: webhook
{{- end }}

{{- define "wasmount.labels" -}}
app.kubernetes.io/name: wasmount
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "wasmount.image" -}}
{{- with .Values.image -}}
{{- if .digest }}{{ .repository }}@{{ .digest }}{{ else }}{{ .repository }}:{{ default $.Chart.AppVersion .tag }}{{ end }}
{{- end -}}
{{- end }}

{{- define "wasmount.fetcherImage" -}}
{{- .Values.fetcher.image | default (include "wasmount.image" .) -}}
{{- end }}

{{/* The Secret with the serving certificate, where it is not the webhook that makes it. */}}
{{- define "wasmount.certificateSecret" -}}
{{- if eq .Values.certificates.mode "provided" }}{{ .Values.certificates.provided.secretName }}{{ else }}wasmount-webhook-tls{{ end -}}
{{- end }}

{{/* Namespaces that the webhook is never asked about: without these a cluster could not start, nor could we. */}}
{{- define "wasmount.excludedNamespaces" -}}
{{- append .Values.webhook.excludeNamespaces .Release.Namespace | uniq | toJson -}}
{{- end }}

{{/*
The images of fetchers that count: the present one, those that are said, and on an upgrade by Helm the one before, as
pods are still admitted by replicas that have not been replaced.
*/}}
{{- define "wasmount.fetcherImages" -}}
{{- $images := prepend .Values.guards.previousImages (include "wasmount.fetcherImage" .) -}}
{{- with lookup "v1" "ConfigMap" .Release.Namespace "wasmount-config" -}}
{{- with index (default dict .data) "wasmount.yaml" -}}
{{- with (fromYaml .).fetcher -}}
{{- $images = append $images .image -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $images | compact | uniq | toJson -}}
{{- end }}
