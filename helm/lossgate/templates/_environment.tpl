{{/* Settings that are no secret: variable → string.  The ConfigMap of the workers; inline in the topics hook. */}}
{{- define "lossgate.settings" -}}
{{- $settings := dict
  "LOSSGATE_KAFKA_BOOTSTRAP_SERVERS" .Values.kafka.bootstrapServers
  "LOSSGATE_KAFKA_GROUP_ID" .Values.kafka.groupId
  "LOSSGATE_DELIVERIES_TOPIC" .Values.kafka.topics.deliveries
  "LOSSGATE_VERDICTS_TOPIC" .Values.kafka.topics.verdicts
  "LOSSGATE_DEAD_LETTERS_TOPIC" .Values.kafka.topics.deadLetters
  "LOSSGATE_RETRIES_TOPIC" .Values.kafka.topics.retries
  "LOSSGATE_ALLOWED_URI_PREFIXES" (toRawJson .Values.allowedUriPrefixes)
  "LOSSGATE_DRAIN_DEADLINE_S" (toJson .Values.drainSeconds)
  "LOSSGATE_DEVICE" (ternary "gpu" "cpu" .Values.gpu.enabled)
  "LOSSGATE_HEALTH_PORT" (toJson .Values.healthPort)
  "LOSSGATE_LOG_FORMAT" "json" -}}
{{- with .Values.schemaRegistry.url }}{{ $_ := set $settings "LOSSGATE_SCHEMA_REGISTRY_URL" . }}{{ end -}}
{{- with .Values.objectStore.endpoint }}{{ $_ := set $settings "S3_ENDPOINT" . }}{{ end -}}
{{- with .Values.objectStore.region }}{{ $_ := set $settings "AWS_REGION" . }}{{ end -}}
{{- range $name, $value := .Values.settings -}}
{{- $_ := set $settings $name (kindIs "string" $value | ternary $value (toRawJson $value)) -}}
{{- end -}}
{{- toYaml $settings -}}
{{- end -}}

{{/* librdkafka properties that are no secret, with the files of kafka.tls. */}}
{{- define "lossgate.kafkaProperties" -}}
{{- $properties := dict -}}
{{- range $name, $value := .Values.kafka.properties -}}
{{- $_ := set $properties $name (kindIs "string" $value | ternary $value (toJson $value) | replace "$(" "$$(") -}}
{{- end -}}
{{- with .Values.kafka.tls -}}
{{- if .secretName -}}
{{- $files := dict "ssl.ca.location" .caKey "ssl.certificate.location" .certificateKey "ssl.key.location" .privateKeyKey -}}
{{- range $name, $key := $files -}}
{{- if $key }}{{ $_ := set $properties $name (printf "/etc/lossgate/kafka-tls/%s" $key) }}{{ end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- range $number, $each := .Values.kafka.propertiesFromSecrets -}}
{{- $_ := set $properties $each.property (printf "$(KAFKA_PROPERTY_%d)" $number) -}}
{{- end -}}
{{- if $properties }}{{ toRawJson $properties }}{{ end -}}
{{- end -}}

{{/* Environment of every container of the chart that must not stand in the ConfigMap: secrets, by reference. */}}
{{- define "lossgate.environment" -}}
- name: TMPDIR
  value: /tmp
{{- range $number, $each := .Values.kafka.propertiesFromSecrets }}
- name: KAFKA_PROPERTY_{{ $number }}
  valueFrom:
    secretKeyRef:
      name: {{ $each.name }}
      key: {{ $each.key }}
{{- end }}
{{- if .Values.kafka.propertiesSecret.name }}
- name: LOSSGATE_KAFKA_PROPERTIES
  valueFrom:
    secretKeyRef: {{- toYaml .Values.kafka.propertiesSecret | nindent 6 }}
{{- else if include "lossgate.kafkaProperties" . }}
- name: LOSSGATE_KAFKA_PROPERTIES
  value: {{ include "lossgate.kafkaProperties" . | quote }}
{{- end }}
{{- if .Values.schemaRegistry.propertiesSecret.name }}
- name: LOSSGATE_SCHEMA_REGISTRY_PROPERTIES
  valueFrom:
    secretKeyRef: {{- toYaml .Values.schemaRegistry.propertiesSecret | nindent 6 }}
{{- end }}
{{- with .Values.objectStore.credentialsSecret }}
{{- if .name }}
- name: AWS_ACCESS_KEY_ID
  valueFrom:
    secretKeyRef:
      name: {{ .name }}
      key: {{ .accessKeyIdKey }}
- name: AWS_SECRET_ACCESS_KEY
  valueFrom:
    secretKeyRef:
      name: {{ .name }}
      key: {{ .secretAccessKeyKey }}
{{- end }}
{{- end }}
{{- if .Values.gpu.enabled }}{{/* its default lies in a home that the user doesn't have */}}
- name: CUDA_CACHE_PATH
  value: /tmp/cuda
{{- end }}
{{- with .Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end -}}
