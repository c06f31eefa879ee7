{{/* What the schema can't say: values that contradict each other.  Included once, by the Deployment. */}}
{{- define "lossgate.checks" -}}
{{- $partitions := int .Values.kafka.partitions -}}
{{- $most := include "lossgate.maxReplicas" . | int -}}
{{- $scaling := .Values.autoscaling -}}
{{- if not .Values.kafka.bootstrapServers }}{{ fail "kafka.bootstrapServers is not set: give the brokers, host:port, comma-separated." }}{{ end -}}
{{- if lt $partitions 1 }}{{ fail "kafka.partitions is not set: give the number of partitions of the deliveries topic." }}{{ end -}}
{{- if not .Values.allowedUriPrefixes }}{{ fail "allowedUriPrefixes is not set, so no audio may be read: give the URI prefixes, such as [s3://masters/]." }}{{ end -}}
{{- if eq $scaling.type "none" -}}
  {{- if gt (int .Values.replicas) $partitions }}{{ fail (printf "replicas (%d) exceeds kafka.partitions (%d): the rest would idle and never be ready." (int .Values.replicas) $partitions) }}{{ end -}}
{{- else -}}
  {{- if gt $most $partitions }}{{ fail (printf "autoscaling.maxReplicas (%d) exceeds kafka.partitions (%d): the rest would idle and never be ready." $most $partitions) }}{{ end -}}
  {{- if gt (int $scaling.minReplicas) $most }}{{ fail (printf "autoscaling.minReplicas (%d) exceeds the most there may be (%d)." (int $scaling.minReplicas) $most) }}{{ end -}}
{{- end -}}
{{- if and (eq $scaling.type "hpa") (lt (int $scaling.minReplicas) 1) }}{{ fail "autoscaling.minReplicas must be at least 1 with an HPA: it can't start again from 0. KEDA can." }}{{ end -}}
{{- with $scaling.keda -}}
{{- if and (eq $scaling.type "keda") (gt (int .fallback.replicas) $most) }}{{ fail (printf "autoscaling.keda.fallback.replicas (%d) exceeds the most there may be (%d)." (int .fallback.replicas) $most) }}{{ end -}}
{{- if and .secretTargetRef .authenticationRef.name }}{{ fail "Give autoscaling.keda.authenticationRef or autoscaling.keda.secretTargetRef, not both." }}{{ end -}}
{{- end -}}
{{- with .Values.kafka -}}
  {{- if and .propertiesSecret.name (or .properties .propertiesFromSecrets .tls.secretName) }}{{ fail "kafka.propertiesSecret holds all properties: leave kafka.properties, kafka.propertiesFromSecrets and kafka.tls out, or it." }}{{ end -}}
  {{- range $name, $value := .properties -}}
    {{- if regexMatch "password|secret|\\.pem$|jaas|sasl\\.username|token" $name }}{{ fail (printf "kafka.properties holds %s, which is a secret: put it into kafka.propertiesFromSecrets." $name) }}{{ end -}}
  {{- end -}}
  {{- if and (not .tls.secretName) (or .tls.certificateKey .tls.privateKeyKey) }}{{ fail "kafka.tls names keys of a Secret but no kafka.tls.secretName." }}{{ end -}}
{{- end -}}
{{- $decoders := index .Values.settings "LOSSGATE_DECODER_PROCESSES" | default 2 | int -}}
{{- $largest := index .Values.settings "LOSSGATE_MAX_OBJECT_BYTES" | default 2147483648 | int64 -}}
{{- if lt (mul (int64 .Values.scratch.sizeGib) 1073741824) (mul $decoders $largest) }}{{ fail (printf "scratch.sizeGib (%d) is less than %d decoders may fetch at once (%d bytes each): raise it, or lower LOSSGATE_DECODER_PROCESSES or LOSSGATE_MAX_OBJECT_BYTES." (int .Values.scratch.sizeGib) $decoders $largest) }}{{ end -}}
{{- if and .Values.podMonitor.enabled .Values.networkPolicy.enabled (not .Values.networkPolicy.scrapeFrom) }}{{ fail "podMonitor is enabled but networkPolicy.scrapeFrom lets nobody scrape: say where Prometheus is." }}{{ end -}}
{{- if and .Values.prometheusRule.enabled (not .Values.podMonitor.enabled) }}{{ fail "prometheusRule needs podMonitor.enabled: its alerts ask for the job label that the PodMonitor gives." }}{{ end -}}
{{- range .Values.volumes -}}
  {{- if ne (len (compact (list .claimName .configMapName .secretName))) 1 }}{{ fail (printf "volumes: %s needs one of claimName, configMapName and secretName." .name) }}{{ end -}}
{{- end -}}
{{- range .Values.extraEnv -}}
  {{- if and .value (regexMatch "(?i)password|secret|token|credential|access_key" .name) }}{{ fail (printf "extraEnv holds a value for %s, which looks like a secret: use valueFrom.secretKeyRef." .name) }}{{ end -}}
  {{- if and .value (hasPrefix "LOSSGATE_" .name) }}{{ fail (printf "extraEnv holds %s: put it into settings, or the value that the chart makes it from." .name) }}{{ end -}}
{{- end -}}
{{- with .Values.replay -}}
  {{- if and .enabled (not (and .name .args)) }}{{ fail "replay is enabled: give it a replay.name and replay.args." }}{{ end -}}
  {{- if and .enabled (not (hasPrefix "replay run " (printf "%s " (join " " .args)))) }}{{ fail "replay.args must begin with replay, run: the Job's probes ask that command." }}{{ end -}}
{{- end -}}
{{- end -}}
