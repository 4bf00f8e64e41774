{{- define "evose.labels" -}}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "evose.image" -}}
{{ .Values.registry }}/evose/server:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{- define "evose.secret" -}}
valueFrom: {secretKeyRef: {name: {{ .root.Values.existingSecret }}, key: {{ .key }}}}
{{- end }}

{{- define "evose.environment" -}}
- {name: EVOSE_MYSQL_HOST, value: {{ .Release.Name }}-mysql}
- {name: EVOSE_POSTGRES_HOST, value: {{ .Release.Name }}-postgres}
- name: EVOSE_MYSQL_PASSWORD
  {{- include "evose.secret" (dict "root" . "key" "mysql-password") | nindent 2 }}
- name: EVOSE_POSTGRES_PASSWORD
  {{- include "evose.secret" (dict "root" . "key" "postgres-password") | nindent 2 }}
- name: EVOSE_ADMIN_PASSWORD
  {{- include "evose.secret" (dict "root" . "key" "admin-password") | nindent 2 }}
# Called otherwise since 2.0.0.
- name: EVOSE_SECRET
  {{- include "evose.secret" (dict "root" . "key" "evose-secret") | nindent 2 }}
- name: EVOSE_APP_SECRET
  {{- include "evose.secret" (dict "root" . "key" "evose-secret") | nindent 2 }}
{{- end }}

{{- define "evose.files" -}}
- name: files
  {{- if .Values.files.hostPath }}
  hostPath: {path: {{ .Values.files.hostPath }}, type: DirectoryOrCreate}
  {{- else }}
  persistentVolumeClaim: {claimName: {{ .Release.Name }}-files}
  {{- end }}
{{- end }}

{{- define "evose.claim" -}}
- metadata: {name: data}
  spec:
    accessModes: [ReadWriteOnce]
    resources: {requests: {storage: {{ .Values.storage }}}}
{{- end }}
