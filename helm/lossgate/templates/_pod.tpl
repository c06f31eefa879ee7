{{/* What all pods of the chart have in common: the hardening, and where secrets and audio are mounted. */}}

{{- define "lossgate.podSecurity" -}}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile:
    type: RuntimeDefault
{{- with .Values.imagePullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "lossgate.containerSecurity" -}}
securityContext:
  allowPrivilegeEscalation: false
  privileged: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
{{- end -}}

{{/* The probes of all that judge. */}}
{{- define "lossgate.aliveProbes" -}}
# Holds the others back until the network is warm and the poll loop has begun.
startupProbe:
  httpGet: {path: /startup, port: health}
  periodSeconds: 5
  timeoutSeconds: 5
  failureThreshold: {{ divf .Values.probes.startupSeconds 5 | ceil | int }}
# /live itself allows the loop a minute of silence.
livenessProbe:
  httpGet: {path: /live, port: health}
  periodSeconds: 15
  timeoutSeconds: 5
  failureThreshold: 2
{{- end -}}

{{- define "lossgate.volumeMounts" -}}
- name: scratch
  mountPath: /tmp
{{- if .Values.kafka.tls.secretName }}
- name: kafka-tls
  mountPath: /etc/lossgate/kafka-tls
  readOnly: true
{{- end }}
{{- end -}}

{{- define "lossgate.volumes" -}}
- name: scratch
  emptyDir:
    sizeLimit: {{ .Values.scratch.sizeGib }}Gi
{{- if .Values.kafka.tls.secretName }}
- name: kafka-tls
  secret:
    secretName: {{ .Values.kafka.tls.secretName }}
    defaultMode: 0440
{{- end }}
{{- end -}}

{{- define "lossgate.dataVolumeMounts" -}}
{{- range .Values.volumes }}
- name: {{ .name }}
  mountPath: {{ .mountPath }}
  readOnly: true
{{- with .subPath }}
  subPath: {{ . }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "lossgate.dataVolumes" -}}
{{- range .Values.volumes }}
- name: {{ .name }}
{{- if .claimName }}
  persistentVolumeClaim:
    claimName: {{ .claimName }}
    readOnly: true
{{- else if .configMapName }}
  configMap:
    name: {{ .configMapName }}
{{- else }}
  secret:
    secretName: {{ .secretName }}
    defaultMode: 0440
{{- end }}
{{- end }}
{{- end -}}

{{/* Requests and limits, with the GPUs: context is (dict "root" $ "resources" …). */}}
{{- define "lossgate.resources" -}}
{{- $resources := deepCopy .resources -}}
{{- with .root.Values.gpu -}}
{{- if .enabled -}}
{{- $_ := set $resources "limits" (merge (dict .resourceName (int .count)) (default dict $resources.limits)) -}}
{{- end -}}
{{- end -}}
{{- toYaml $resources -}}
{{- end -}}

{{/* Where the pods that judge audio may run. */}}
{{- define "lossgate.placement" -}}
{{- $nodeSelector := .Values.nodeSelector -}}
{{- $tolerations := .Values.tolerations -}}
{{- if .Values.gpu.enabled -}}
{{- $nodeSelector = merge (deepCopy .Values.gpu.nodeSelector) $nodeSelector -}}
{{- $tolerations = concat $tolerations .Values.gpu.tolerations -}}
{{- with .Values.gpu.runtimeClassName }}
runtimeClassName: {{ . }}
{{- end }}
{{- end }}
{{- with $nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "lossgate.topologySpread" -}}
{{- $keys := dict "zone" "topology.kubernetes.io/zone" "node" "kubernetes.io/hostname" -}}
{{- range $name := list "zone" "node" }}
{{- $when := index $.Values.topologySpread $name }}
{{- if ne $when "none" }}
- topologyKey: {{ index $keys $name }}
  maxSkew: 1
  whenUnsatisfiable: {{ $when }}
  labelSelector:
    matchLabels:
      {{- include "lossgate.selectorLabels" $ | nindent 6 }}
      app.kubernetes.io/component: worker
  matchLabelKeys: [pod-template-hash]
{{- end }}
{{- end }}
{{- end -}}
