{{- define "workspace-exporter.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 51 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 51 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 51 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- /* The rules know the exporter by this name too: it becomes the label `job`. */ -}}
{{- define "workspace-exporter.selector" -}}
app.kubernetes.io/name: workspace-exporter
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "workspace-exporter.labels" -}}
{{ include "workspace-exporter.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- /* The labels with those of a user, which win: no key is there twice. */ -}}
{{- define "workspace-exporter.labelsWith" -}}
{{ mustMergeOverwrite (include "workspace-exporter.labels" .root | fromYaml) (deepCopy (default dict .more)) | toYaml }}
{{- end -}}

{{- define "workspace-exporter.meta" -}}
name: {{ include "workspace-exporter.fullname" . }}
namespace: {{ .Release.Namespace }}
labels:
  {{- include "workspace-exporter.labels" . | nindent 2 }}
{{- end -}}

{{- /* The same, with labels of a user. */ -}}
{{- define "workspace-exporter.metaWith" -}}
name: {{ include "workspace-exporter.fullname" .root }}
namespace: {{ .root.Release.Namespace }}
labels:
  {{- include "workspace-exporter.labelsWith" . | nindent 2 }}
{{- end -}}

{{- define "workspace-exporter.image" -}}
{{- if not .Values.image.repository -}}
{{- fail "image.repository is empty: no image has been released yet. Build and push your own, in a clone of the repository: docker buildx build -f deploy/Dockerfile -t REGISTRY/workspace_exporter:TAG --push . Then set image.repository to REGISTRY/workspace_exporter and image.tag to TAG" -}}
{{- end -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ default .Chart.AppVersion .Values.image.tag }}
{{- end -}}
{{- end -}}

{{- define "workspace-exporter.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{ default (include "workspace-exporter.fullname" .) .Values.serviceAccount.name }}
{{- else -}}
{{ default "default" .Values.serviceAccount.name }}
{{- end -}}
{{- end -}}

{{- /* The secret with the files in `secrets/`, if there is one. */ -}}
{{- define "workspace-exporter.credentials" -}}
{{- if .Values.demo -}}
{{- else if .Values.credentials.existingSecret -}}
{{ .Values.credentials.existingSecret }}
{{- else if .Values.credentials.create -}}
{{ include "workspace-exporter.fullname" . }}-credentials
{{- end -}}
{{- end -}}

{{- /* The ports of the proxies that the environment names, and `named` if it names any. */ -}}
{{- define "workspace-exporter.proxies" -}}
{{- range .Values.extraEnv }}
{{- if has (upper .name) (list "HTTPS_PROXY" "HTTP_PROXY") }}
named: true
{{- with regexFind ":[0-9]+/?$" (default "" .value) }}
{{ . | trimPrefix ":" | trimSuffix "/" | quote }}: true
{{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{- /* The exporter asks the environment for a proxy only if it is configured to: here it is
       where the environment names one, unless the project says otherwise. */ -}}
{{- define "workspace-exporter.config" -}}
{{- $storage := dict "path" "/var/lib/workspace_exporter" }}
{{- with .Values.postgres }}
{{- if .existingSecret }}
{{- $storage = dict "postgres" (dict "dsn_file" "postgres/dsn" "schema" .schema "lease_duration" .leaseDuration) }}
{{- end }}
{{- end }}
{{- $config := mustMergeOverwrite (deepCopy .Values.config) (dict "storage" $storage) }}
{{- if include "workspace-exporter.proxies" . | trim }}
{{- range $config.projects }}
{{- if not (or (hasKey . "proxy_url") (hasKey . "proxy_from_environment")) }}
{{- $_ := set . "proxy_from_environment" true }}
{{- end }}
{{- end }}
{{- end }}
{{- toYaml $config }}
{{- end -}}

{{- /* Changes with a text, and does not give away a secret in it: it is made by scrypt,
       so that to try all passwords takes years, where a plain hash would take minutes. */ -}}
{{- define "workspace-exporter.checksum" -}}
{{ derivePassword 1 "maximum" . "workspace-exporter" "checksum" }}
{{- end -}}

{{- define "workspace-exporter.probe" -}}
{{- if .root.Values.web.authentication -}}
tcpSocket: {port: http}
{{- else -}}
httpGet: {path: {{ .path }}, port: http, scheme: {{ ternary "HTTPS" "HTTP" .root.Values.web.tls }}}
{{- end -}}
{{- end -}}
