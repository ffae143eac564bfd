{{- define "workspace-exporter.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 52 | trimSuffix "-" -}}
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

{{- define "workspace-exporter.meta" -}}
name: {{ include "workspace-exporter.fullname" . }}
namespace: {{ .Release.Namespace }}
labels:
  {{- include "workspace-exporter.labels" . | nindent 2 }}
{{- end -}}

{{- define "workspace-exporter.image" -}}
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

{{- define "workspace-exporter.config" -}}
{{ mustMergeOverwrite (deepCopy .Values.config) (dict "storage" (dict "path" "/var/lib/workspace_exporter")) | toYaml }}
{{- end -}}

{{- define "workspace-exporter.probe" -}}
{{- if .root.Values.web.authentication -}}
tcpSocket: {port: http}
{{- else -}}
httpGet: {path: {{ .path }}, port: http, scheme: {{ ternary "HTTPS" "HTTP" .root.Values.web.tls }}}
{{- end -}}
{{- end -}}
