{{- define "infrahub.labels" -}}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "infrahub.image" -}}
{{ .Values.registry }}/infrahub:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{- define "infrahub.cache" -}}
{{- if semverCompare ">=1.9.0" .Chart.AppVersion -}}
{{ required "`cache.address` is not set: since 1.9.0 it is the cache's host and port" .Values.cache.address }}
{{- else -}}
{{ .Values.cache.address | default (printf "%s-cache:6379" .Release.Name) }}
{{- end }}
{{- end }}

{{- define "infrahub.environment" -}}
- {name: INFRAHUB_DATABASE_ADDRESS, value: "{{ .Release.Name }}-database:7474"}
- {name: INFRAHUB_CACHE_ADDRESS, value: "{{ include "infrahub.cache" . }}"}
- name: INFRAHUB_API_TOKEN
  valueFrom: {secretKeyRef: {name: {{ .Values.existingSecret }}, key: api-token}}
{{- end }}

{{- define "infrahub.storage" -}}
- name: storage
  persistentVolumeClaim: {claimName: {{ .Release.Name }}-storage}
{{- end }}
