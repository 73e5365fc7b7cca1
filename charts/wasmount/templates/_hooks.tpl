{{/* What pods of hooks have of their spec, but for command and account. */}}
{{- define "wasmount.hookPod" -}}
restartPolicy: Never
{{- with .Values.imagePullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
securityContext: {{- .Values.podSecurityContext | toYaml | nindent 2 }}
{{- with .Values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "wasmount.hookContainer" -}}
image: {{ include "wasmount.image" . | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
resources:
  requests: {cpu: 10m, memory: 64Mi}
  limits: {memory: 256Mi}
securityContext: {{- .Values.securityContext | toYaml | nindent 2 }}
{{- end }}

{{/* Hooks leave nothing: not when they fail either. Their output is shown. Takes the chart's root, the hook and its weight. */}}
{{- define "wasmount.hookMetadata" -}}
namespace: {{ .root.Release.Namespace }}
labels:
  {{- include "wasmount.labels" .root | nindent 2 }}
  app.kubernetes.io/component: {{ .component }}
annotations:
  helm.sh/hook: {{ .hook }}
  helm.sh/hook-weight: {{ .weight | quote }}
  helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded,hook-failed
  helm.sh/hook-output-log-policy: hook-succeeded,hook-failed
{{- end }}
