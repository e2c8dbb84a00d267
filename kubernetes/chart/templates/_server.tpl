{{/* The server's container, the same in a Deployment and in KServe's runtime. A dict: root, name, store, knative. */}}
{{- define "bundle.server" -}}
{{- $values := .root.Values -}}
name: {{ .name }}
image: {{ include "bundle.image" $values.image | quote }}
imagePullPolicy: {{ $values.image.pullPolicy }}
args: [run, --store, {{ .store }}, --host, 0.0.0.0, --grace, {{ $values.drainSeconds | quote }}]
{{- with include "bundle.serverEnvironment" . }}
env:
  {{- . | nindent 2 }}
{{- end }}
ports:
  - {name: {{ ternary "http1" "rest" .kserve }}, containerPort: 8080, protocol: TCP}
  {{- if not .knative }}
  - {name: {{ ternary "h2c" "open-inference" .kserve }}, containerPort: 8001, protocol: TCP}
  - {name: grpc, containerPort: 7070, protocol: TCP}
  {{- end }}
  {{- if not .kserve }}
  - {name: management, containerPort: 8081}
  - {name: grpc-management, containerPort: 7071}
  - {name: metrics, containerPort: 8082}
  - {name: status, containerPort: 9100}
  {{- end }}
{{- /* Started: every model has answered its own sample. Ready: one at least answers, and the server is not to end. */}}
startupProbe:
  httpGet: {path: /readyz, port: 9100}
  periodSeconds: 5
  timeoutSeconds: 5
  failureThreshold: {{ div (add $values.startupSeconds 4) 5 }}
readinessProbe:
  httpGet: {path: /available, port: 9100}
  periodSeconds: 2
  timeoutSeconds: 5
  failureThreshold: 2
livenessProbe:
  httpGet: {path: /livez, port: 9100}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 3
{{- if and $values.preStopSeconds (not .knative) }}
lifecycle:
  preStop:
    sleep: {seconds: {{ $values.preStopSeconds }}}
{{- end }}
resources:
  requests:
    {{- toYaml $values.resources.requests | nindent 4 }}
    {{- if $values.gpu.count }}
    {{ $values.gpu.resource | quote }}: {{ $values.gpu.count }}
    {{- end }}
  limits:
    {{- toYaml $values.resources.limits | nindent 4 }}
    {{- if $values.gpu.count }}
    {{ $values.gpu.resource | quote }}: {{ $values.gpu.count }}
    {{- end }}
securityContext:
  {{- if .kserve }}
  runAsNonRoot: true
  runAsUser: 10001
  seccompProfile: {type: RuntimeDefault}
  {{- end }}
  {{- include "bundle.containerSecurity" . | nindent 2 }}
volumeMounts:
  - {name: tmp, mountPath: /tmp}
  - {name: run, mountPath: /run/bundle}
  {{- if not .kserve }}
  - {name: models, mountPath: {{ .store }}, readOnly: true}
  {{- end }}
  {{- if $values.models.requireSigned.secret }}
  - {name: admitted, mountPath: /admitted}
  - {name: signing-keys, mountPath: /run/signing-keys, readOnly: true}
  {{- end }}
  {{- include "bundle.tracingMounts" .root | nindent 2 }}
{{- end }}

{{- define "bundle.serverEnvironment" -}}
{{- $models := .root.Values.models -}}
{{- with $models.explain }}
- {name: BUNDLE_EXPLAIN, value: {{ join " " . | quote }}}
{{- end }}
{{- include "bundle.signingKeys" .root }}
{{- include "bundle.tracingEnvironment" . }}
{{- end }}

{{- define "bundle.signingKeys" -}}
{{- with .Values.models.requireSigned }}
{{- if .secret }}
- {name: BUNDLE_REQUIRE_SIGNED, value: {{ printf "/run/signing-keys/%s" .key | quote }}}
{{- end }}
{{- end }}
{{- end }}

{{- define "bundle.serverVolumes" -}}
- {name: tmp, emptyDir: {}}
- {name: run, emptyDir: {}}
{{- with .Values.models.requireSigned.secret }}
- {name: admitted, emptyDir: {}}
- {name: signing-keys, secret: {secretName: {{ . | quote }}, items: [{key: {{ $.Values.models.requireSigned.key | quote }}, path: {{ $.Values.models.requireSigned.key | quote }}}]}}
{{- end }}
{{- include "bundle.tracingVolumes" . }}
{{- end }}
