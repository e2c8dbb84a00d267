{{- define "bundle.name" -}}
{{- $name := default .Release.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- if not (regexMatch "^[a-z]([-a-z0-9]*[a-z0-9])?$" $name) }}
{{- fail (printf "%s: Services need a name that begins with a letter and has lower-case letters, digits and - alone; nameOverride gives one" $name) }}
{{- end }}
{{- $name }}
{{- end }}

{{- define "bundle.selector" -}}
app.kubernetes.io/name: torchserve-bundle
app.kubernetes.io/instance: {{ include "bundle.name" .root }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{- define "bundle.labels" -}}
{{ include "bundle.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
{{- end }}

{{- define "bundle.serviceAccount" -}}
{{- $name := printf "%s-server" (include "bundle.name" .) -}}
{{ if .Values.serviceAccount.create }}{{ default $name .Values.serviceAccount.name }}{{ else }}{{ default "default" .Values.serviceAccount.name }}{{ end }}
{{- end }}

{{- define "bundle.image" -}}
{{ .repository }}{{ if hasPrefix "@" .tag }}{{ .tag }}{{ else }}:{{ .tag }}{{ end }}
{{- end }}
