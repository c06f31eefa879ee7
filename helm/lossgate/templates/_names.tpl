{{- define "lossgate.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* 36 characters, so that what is appended (-replay-NAME, a pod's index in its host name) stays within 63. */}}
{{- define "lossgate.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 36 | trimSuffix "-" -}}
{{- else if contains (include "lossgate.name" .) .Release.Name -}}
{{- .Release.Name | trunc 36 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "lossgate.name" .) | trunc 36 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* What never changes in the life of a release: the Deployment's selector can't be changed. */}}
{{- define "lossgate.selectorLabels" -}}
app.kubernetes.io/name: {{ include "lossgate.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "lossgate.labels" -}}
{{- $own := dict
  "helm.sh/chart" (printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-")
  "app.kubernetes.io/version" (default .Chart.AppVersion .Values.image.tag | trunc 63 | trimSuffix "-")
  "app.kubernetes.io/managed-by" .Release.Service -}}
{{- $own = merge (include "lossgate.selectorLabels" . | fromYaml) $own .Values.commonLabels -}}
{{- toYaml $own -}}
{{- end -}}

{{- define "lossgate.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}{{ .repository }}@{{ .digest }}{{- else -}}{{ .repository }}:{{ default $.Chart.AppVersion .tag }}{{- end -}}
{{- end -}}
{{- end -}}

{{- define "lossgate.serviceAccountName" -}}
{{- default (ternary (include "lossgate.fullname" .) "default" .Values.serviceAccount.create) .Values.serviceAccount.name -}}
{{- end -}}

{{/* The most workers there may be. */}}
{{- define "lossgate.maxReplicas" -}}
{{- .Values.autoscaling.maxReplicas | default .Values.kafka.partitions | int -}}
{{- end -}}

{{/* The pods' grace: more than the drain, from the same value. */}}
{{- define "lossgate.graceSeconds" -}}
{{- add (ceil .Values.drainSeconds | int) (int .Values.terminationMarginSeconds) -}}
{{- end -}}

{{/* Labels of pods: nothing that changes with the chart's version, or each upgrade would restart them all.
     Context is (dict "root" $ "component" …). */}}
{{- define "lossgate.podLabels" -}}
{{- $own := include "lossgate.selectorLabels" .root | fromYaml -}}
{{- toYaml (merge $own (dict "app.kubernetes.io/component" .component) .root.Values.podLabels .root.Values.commonLabels) -}}
{{- end -}}
