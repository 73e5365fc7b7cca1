{{/* The webhook's configuration file. Secrets and ConfigMaps that values name are mounted where it says. */}}
{{- define "wasmount.configuration" -}}
{{- $values := .Values -}}
{{- $mode := .Values.certificates.mode -}}
listen:
  address: {{ .Values.listen.address | quote }}
  port: {{ .Values.ports.admission | int64 }}
  plainPort: {{ .Values.ports.health | int64 }}
  drainSeconds: {{ .Values.listen.drainSeconds | int64 }}
  lingerSeconds: {{ .Values.listen.lingerSeconds | int64 }}
  maxConnections: {{ .Values.listen.maxConnections | int64 }}
  maxReviewBytes: {{ .Values.listen.maxReviewBytes | int64 }}
tls:
  {{- if eq $mode "self" }}
  self:
    caSecret: wasmount-webhook-ca
    dnsNames:
      - wasmount-webhook.{{ .Release.Namespace }}.svc
      - wasmount-webhook.{{ .Release.Namespace }}.svc.cluster.local
    registration: wasmount
  {{- else }}
  certFile: /etc/wasmount-tls/tls.crt
  keyFile: /etc/wasmount-tls/tls.key
  {{- end }}
  {{- if .Values.webhook.clientCaConfigMap.name }}
  clientCaFile: /etc/wasmount-client-ca/ca.crt
  {{- end }}
fetcher:
  image: {{ include "wasmount.fetcherImage" . | quote }}
  imagePullPolicy: {{ .Values.fetcher.imagePullPolicy }}
  {{- with .Values.fetcher.imagePullSecrets }}
  imagePullSecrets: {{ . | toJson }}
  {{- end }}
  resources: {{- .Values.fetcher.resources | toYaml | nindent 4 }}
  maxResources: {{- .Values.fetcher.maxResources | toYaml | nindent 4 }}
  allowedEnvironment: {{ .Values.fetcher.allowedEnvironment | toJson }}
volume: {{- .Values.volume | toYaml | nindent 2 }}
envoy:
  version: {{ .Values.envoy.version | quote }}
{{- if .Values.plan.sign }}
plan:
  {{- with .Values.plan.provided }}
  {{- if .secretName }}
  signingKeyFile: /etc/wasmount-plan-keys/{{ .signingKey }}
  verificationKeyFiles:
    {{- range .verificationKeys }}
    - /etc/wasmount-plan-keys/{{ . }}
    {{- else }} []
    {{- end }}
  {{- else }}
  keysSecret: wasmount-plan-keys
  {{- end }}
  {{- end }}
{{- end }}
policy:
  unmatched: {{ .Values.policy.unmatched }}
  fromCluster: {{ .Values.policy.fromCluster }}
  files:
    {{- range $name, $text := .Values.policy.files }}
    - /etc/wasmount-policies/{{ $name }}
    {{- else }} []
    {{- end }}
reference:
  requireDigest: {{ .Values.reference.requireDigest }}
registries:
  {{- range $index, $registry := .Values.registries }}
  - {{- omit $registry "caConfigMap" "clientCertSecret" | toYaml | nindent 4 }}
    {{- if $registry.caConfigMap }}
    caFile: /etc/wasmount-registries/{{ $index }}/ca/ca.crt
    {{- end }}
    {{- if $registry.clientCertSecret }}
    clientCertFile: /etc/wasmount-registries/{{ $index }}/client/tls.crt
    clientKeyFile: /etc/wasmount-registries/{{ $index }}/client/tls.key
    {{- end }}
  {{- else }} []
  {{- end }}
registryCredentials:
  {{- range $index, $credential := .Values.registryCredentials }}
  - file: /etc/wasmount-credentials/{{ $index }}/config.json
    namespaces: {{ $credential.namespaces | toJson }}
    repositories: {{ $credential.repositories | toJson }}
  {{- else }} []
  {{- end }}
network:
  privateAddresses: {{ .Values.network.privateAddresses }}
  proxy:
    {{- with .Values.network.proxy }}
    "no": {{ .noProxy | quote }}
    {{- with .http }}
    http: {{ . | quote }}
    {{- end }}
    {{- with .https }}
    https: {{ . | quote }}
    {{- end }}
    {{- if .credentialsSecret.name }}
    credentialsFile: /etc/wasmount-proxy/credentials
    {{- end }}
    {{- end }}
pins:
  namespace: {{ .Release.Namespace }}
failure:
  allowOpen: {{ .Values.failure.allowOpen }}
istio: {{- .Values.istio | toYaml | nindent 2 }}
dataPlanes: {{ .Values.dataPlanes | toJson }}
kuma: {{- .Values.kuma | toYaml | nindent 2 }}
consul: {{- .Values.consul | toYaml | nindent 2 }}
proxy:
  injectedBy: {{ .Values.proxy.injectedBy | toJson }}
events:
  enabled: {{ .Values.events.enabled }}
controller:
  enabled: {{ .Values.controller.enabled }}
  lease: wasmount-controller
limits:
  {{- range $name, $limit := .Values.limits }}
  {{ $name }}: {{ if eq $name "reviewSeconds" }}{{ $limit }}{{ else }}{{ $limit | int64 }}{{ end }}
  {{- end }}
log:
  level: {{ .Values.log.level }}
{{- end }}

{{/* Where what values name is mounted: volumes and their mounts, in the same order. */}}
{{- define "wasmount.volumes" -}}
- name: config
  configMap: {name: wasmount-config}
{{- if ne .Values.certificates.mode "self" }}
- name: tls
  secret: {secretName: {{ include "wasmount.certificateSecret" . | quote }}}
{{- end }}
{{- with .Values.plan.provided.secretName }}
- name: plan-keys
  secret: {secretName: {{ . | quote }}}
{{- end }}
{{- with .Values.webhook.clientCaConfigMap }}
{{- if .name }}
- name: client-ca
  configMap:
    name: {{ .name | quote }}
    items: [{key: {{ .key | quote }}, path: ca.crt}]
{{- end }}
{{- end }}
{{- if .Values.policy.files }}
- name: policies
  configMap: {name: wasmount-policies}
{{- end }}
{{- range $index, $registry := .Values.registries }}
{{- with $registry.caConfigMap }}
- name: registry-{{ $index }}-ca
  configMap:
    name: {{ .name | quote }}
    items: [{key: {{ .key | default "ca.crt" | quote }}, path: ca.crt}]
{{- end }}
{{- with $registry.clientCertSecret }}
- name: registry-{{ $index }}-client
  secret: {secretName: {{ . | quote }}}
{{- end }}
{{- end }}
{{- range $index, $credential := .Values.registryCredentials }}
- name: credentials-{{ $index }}
  secret:
    secretName: {{ $credential.secret | quote }}
    items: [{key: {{ $credential.key | default ".dockerconfigjson" | quote }}, path: config.json}]
{{- end }}
{{- with .Values.network.proxy.credentialsSecret }}
{{- if .name }}
- name: proxy
  secret:
    secretName: {{ .name | quote }}
    items: [{key: {{ .key | quote }}, path: credentials}]
{{- end }}
{{- end }}
{{- end }}

{{- define "wasmount.volumeMounts" -}}
- {name: config, mountPath: /etc/wasmount, readOnly: true}
{{- if ne .Values.certificates.mode "self" }}
- {name: tls, mountPath: /etc/wasmount-tls, readOnly: true}
{{- end }}
{{- if .Values.plan.provided.secretName }}
- {name: plan-keys, mountPath: /etc/wasmount-plan-keys, readOnly: true}
{{- end }}
{{- if .Values.webhook.clientCaConfigMap.name }}
- {name: client-ca, mountPath: /etc/wasmount-client-ca, readOnly: true}
{{- end }}
{{- if .Values.policy.files }}
- {name: policies, mountPath: /etc/wasmount-policies, readOnly: true}
{{- end }}
{{- range $index, $registry := .Values.registries }}
{{- if $registry.caConfigMap }}
- {name: registry-{{ $index }}-ca, mountPath: /etc/wasmount-registries/{{ $index }}/ca, readOnly: true}
{{- end }}
{{- if $registry.clientCertSecret }}
- {name: registry-{{ $index }}-client, mountPath: /etc/wasmount-registries/{{ $index }}/client, readOnly: true}
{{- end }}
{{- end }}
{{- range $index, $credential := .Values.registryCredentials }}
- {name: credentials-{{ $index }}, mountPath: /etc/wasmount-credentials/{{ $index }}, readOnly: true}
{{- end }}
{{- if .Values.network.proxy.credentialsSecret.name }}
- {name: proxy, mountPath: /etc/wasmount-proxy, readOnly: true}
{{- end }}
{{- end }}
