{{/* OpenTelemetry's variables, of the server and of what writes the edge's configuration. A dict: root, knative. */}}
{{- define "bundle.tracingEnvironment" -}}
{{- $tracing := .root.Values.tracing -}}
{{- if $tracing.endpoint }}
{{- $attributes := list }}
{{- if not .knative }}
{{- /* Before the variable that names them. Knative's pods may not name their own fields. */}}
- {name: POD_NAME, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
- {name: POD_NAMESPACE, valueFrom: {fieldRef: {fieldPath: metadata.namespace}}}
{{- $attributes = list "k8s.pod.name=$(POD_NAME)" "k8s.namespace.name=$(POD_NAMESPACE)" }}
{{- end }}
{{- range $name, $value := $tracing.attributes }}
{{- $attributes = append $attributes (printf "%s=%s" $name (urlquery $value | replace "+" "%20")) }}
{{- end }}
- {name: OTEL_EXPORTER_OTLP_ENDPOINT, value: {{ $tracing.endpoint | quote }}}
- {name: OTEL_SERVICE_NAME, value: {{ $tracing.service | quote }}}
- {name: OTEL_TRACES_SAMPLER, value: {{ $tracing.sampler }}}
{{- if hasSuffix "traceidratio" $tracing.sampler }}
- {name: OTEL_TRACES_SAMPLER_ARG, value: {{ $tracing.ratio | quote }}}
{{- end }}
{{- with $attributes }}
- {name: OTEL_RESOURCE_ATTRIBUTES, value: {{ join "," . | quote }}}
{{- end }}
{{- with $tracing.headers }}
{{- if .secret }}
- {name: OTEL_EXPORTER_OTLP_HEADERS, valueFrom: {secretKeyRef: {name: {{ .secret | quote }}, key: {{ .key | quote }}}}}
{{- end }}
{{- end }}
{{- with $tracing.authority }}
{{- if .configMap }}
- {name: OTEL_EXPORTER_OTLP_CERTIFICATE, value: {{ printf "/run/collector/%s" .key | quote }}}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{/* Envoy reads the file itself, at the path that the variable has. */}}
{{- define "bundle.tracingMounts" -}}
{{- if and .Values.tracing.endpoint .Values.tracing.authority.configMap }}
- {name: collector-authority, mountPath: /run/collector, readOnly: true}
{{- end }}
{{- end }}

{{- define "bundle.tracingVolumes" -}}
{{- with .Values.tracing.authority }}
{{- if and $.Values.tracing.endpoint .configMap }}
- {name: collector-authority, configMap: {name: {{ .configMap | quote }}, items: [{key: {{ .key | quote }}, path: {{ .key | quote }}}]}}
{{- end }}
{{- end }}
{{- end }}

{{- define "bundle.tracingPort" -}}
{{- $url := urlParse .Values.tracing.endpoint -}}
{{- $given := regexFind ":[0-9]+$" $url.host | trimPrefix ":" -}}
{{- if .Values.tracing.port }}{{ .Values.tracing.port }}{{ else }}{{ default (ternary "443" "80" (eq $url.scheme "https")) $given }}{{ end }}
{{- end }}
