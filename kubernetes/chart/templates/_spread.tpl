{{- define "bundle.spread" -}}
{{- $root := .root -}}
{{- if $root.Values.spread.enabled }}
topologySpreadConstraints:
  {{- range $root.Values.spread.topologyKeys }}
  - topologyKey: {{ . | quote }}
    maxSkew: 1
    whenUnsatisfiable: {{ $root.Values.spread.whenUnsatisfiable }}
    labelSelector:
      matchLabels:
        {{- include "bundle.selector" $ | nindent 8 }}
    # Pods of the revision that is rolled out alone.
    matchLabelKeys: [pod-template-hash]
  {{- end }}
{{- end }}
{{- end }}
