{{/* part/whole above a percentage within a window, where the whole is enough to speak of a share. */}}
{{- define "lossgate.share" -}}
sum(increase({{ .part }}[{{ .window }}])) / sum(increase({{ .whole }}[{{ .window }}])) > {{ divf .percent 100 }} and sum(increase({{ .whole }}[{{ .window }}])) > {{ int .least }}
{{- end -}}

{{/* A provider's share of REJECT of the last day against that of the seven days before it. */}}
{{- define "lossgate.rejectShareMoved" -}}
{{- $all := printf "lossgate_provider_decisions_total{%s}" .of -}}
{{- $rejected := printf "lossgate_provider_decisions_total{%s,decision=\"REJECT\"}" .of -}}
{{- $day := printf "sum by (provider) (increase(%s[1d]))" $all -}}
{{- $week := printf "sum by (provider) (increase(%s[7d] offset 1d))" $all -}}
{{- $share := "((sum by (provider) (increase(%s)) or 0 * %s) / %s)" -}}
abs({{ printf $share (printf "%s[1d]" $rejected) $day $day }} - {{ printf $share (printf "%s[7d] offset 1d" $rejected) $week $week }}) > {{ divf .rule.points 100 }} and {{ $day }} >= {{ int .rule.minimumVerdicts }} and {{ $week }} >= {{ int .rule.minimumVerdicts }}
{{- end -}}
