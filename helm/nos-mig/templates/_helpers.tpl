{{/*
Names are fixed and do not follow the release's: policies, the webhook's configuration and the processes know each other by them,
and there is one partitioner in a cluster.
*/}}

{{- define "nos-mig.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name (.Chart.Version | replace "+" "_") }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/part-of: nos-mig
app.kubernetes.io/name: nos-mig
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{/* What a workload's selector matches: selector (dict "root" $ "component" "webhook") */}}
{{- define "nos-mig.selector" -}}
app.kubernetes.io/name: nos-mig
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{- define "nos-mig.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{/* The user names of ServiceAccounts, as policies see them. */}}
{{- define "nos-mig.user" -}}
system:serviceaccount:{{ .root.Release.Namespace }}:nos-mig-{{ .component }}
{{- end }}

{{/* What each process is told. Health is served to the kubelet, hence on all addresses. */}}
{{- define "nos-mig.commonArguments" -}}
- --namespace={{ .Release.Namespace }}
- --log-format={{ .Values.log.format }}
- --log-level={{ .Values.log.level }}
- --health-host=0.0.0.0
- --health-port=8081
{{- end }}

{{- define "nos-mig.probes" -}}
livenessProbe:
  httpGet: {path: /healthz, port: health}
  periodSeconds: 10
  failureThreshold: 3
readinessProbe:
  httpGet: {path: /readyz, port: health}
  periodSeconds: 5
  failureThreshold: 2
startupProbe:
  httpGet: {path: /healthz, port: health}
  periodSeconds: 2
  failureThreshold: 30
{{- end }}

{{/* The `restricted` Pod security standard. */}}
{{- define "nos-mig.restrictedPod" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "nos-mig.restrictedContainer" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{/* Where a Deployment's Pods go: placement (dict "root" $ "component" "webhook" "values" .Values.webhook) */}}
{{- define "nos-mig.placement" -}}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "nos-mig.selector" . | nindent 8 }}
{{- with .values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "nos-mig.pullSecrets" -}}
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/*
CEL: whether a Pod names a MIG resource in any container; the argument is the expression of the Pod. A Pod that is being created has
not been validated yet, so its lists may be missing or null; an expression that fails would refuse the Pod.
*/}}
{{- define "nos-mig.asksForMig" -}}
{{- $named := "exists(name, name.startsWith('nvidia.com/mig-'))" -}}
{{- $container := printf "has(c.resources) && ((has(c.resources.limits) && c.resources.limits.%[1]s) || (has(c.resources.requests) && c.resources.requests.%[1]s))" $named -}}
(has({{ . }}.spec.containers) && {{ . }}.spec.containers != null && {{ . }}.spec.containers.exists(c, {{ $container }})) ||
(has({{ . }}.spec.initContainers) && {{ . }}.spec.initContainers != null && {{ . }}.spec.initContainers.exists(c, {{ $container }}))
{{- end }}
