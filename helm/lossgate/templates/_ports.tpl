{{/* Ports of addresses (host:port, or http(s)://host[:port]) as a JSON list of numbers. */}}
{{- define "lossgate.ports" -}}
{{- $ports := list -}}
{{- range . -}}
{{- $address := regexReplaceAll "^[a-zA-Z+]+://|/.*$" (regexReplaceAll "^https?://" (trim .) "") "" -}}
{{- $port := regexFind ":[0-9]+$" $address | trimPrefix ":" -}}
{{- if not $port -}}
{{- if hasPrefix "http://" (trim .) }}{{ $port = "80" }}{{ else if hasPrefix "https://" (trim .) }}{{ $port = "443" }}{{ else }}{{ $port = "9092" }}{{ end -}}
{{- end -}}
{{- $ports = append $ports (int $port) -}}
{{- end -}}
{{- toJson ($ports | uniq) -}}
{{- end -}}
