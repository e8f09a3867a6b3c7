"""The texts of notifications, as Grafana's notification templates.

What stands in the labels is plain text, bounded for its escaped form (see `actions`). Here it is escaped for Discord's
Markdown, so that a log line formats nothing and mentions nobody, and our own links are added whole: with the bounds of
`Options` and of the labels a message stays under 2,000 characters and a title under 256, and nothing is ever cut.
"""

from __future__ import annotations

NAME = "incidentlens"
_SHOWN = 4  # incidents of one message, where somebody groups several

# Every character that means something in Discord's Markdown; the backslash first. No regular expression of a group:
# `$1` would be taken for a variable where files are provisioned.
_SPECIAL = "\\`*_[]<>#|~!"


def _escape() -> str:
    steps = "".join(f' | reReplaceAll "{_pattern(char)}" "{_quoted(chr(92) + char)}"' for char in _SPECIAL)
    return f'{{{{ define "incidentlens.escape" }}}}{{{{ .{steps} }}}}{{{{ end }}}}'


def _pattern(char: str) -> str:
    """A regular expression for the character, as it stands in a Go string."""
    return _quoted(char if char in "`_<>#~!" else "\\" + char)


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


def templates(incident_dashboard: bool) -> str:
    """The template group; `incident_dashboard`: whether there is one to link to."""
    link = "[Incident]({{ .Annotations.incident_url }})"
    mail_link = "{{ .Annotations.incident_url }}"
    if incident_dashboard:
        path = "{{ $.ExternalURL }}d/incidentlens-incident?var-incident={{ .Labels.incident_id }}"
        link += f" · [Dashboard]({path})"
        mail_link += f"\n{path}"
    return f"""{_escape()}
{{{{ define "incidentlens.name" }}}}\
{{{{ with .Labels.title }}}}{{{{ . }}}}{{{{ else }}}}{{{{ .Labels.alertname }}}}{{{{ end }}}}{{{{ end }}}}
{{{{ define "incidentlens.state" }}}}\
{{{{ if eq .Status "resolved" }}}}{{{{ with .Annotations.raised_to }}}}Raised to {{{{ . }}}}{{{{ else }}}}Resolved\
{{{{ end }}}}{{{{ else }}}}\
{{{{ with .Labels.disposition }}}}{{{{ . }}}}{{{{ else }}}}Firing{{{{ end }}}}{{{{ end }}}}{{{{ end }}}}
{{{{ define "incidentlens.end" }}}}\
{{{{ with .Annotations.raised_to }}}}It goes on, raised to {{{{ . }}}}: those who are told of that have it now.\
{{{{ else }}}}Over: quiet and verified, or closed by a person.{{{{ end }}}}{{{{ end }}}}
{{{{ define "incidentlens.discord.name" }}}}\
{{{{ with .Labels.title }}}}{{{{ template "incidentlens.escape" . }}}}{{{{ else }}}}{{{{ .Labels.alertname }}}}\
{{{{ end }}}}{{{{ end }}}}
{{{{ define "incidentlens.discord.title" }}}}\
{{{{ if gt (len .Alerts) 1 }}}}{{{{ len .Alerts }}}} incidents{{{{ else }}}}{{{{ range .Alerts }}}}\
{{{{ template "incidentlens.state" . }}}}: {{{{ template "incidentlens.discord.name" . }}}}\
{{{{ end }}}}{{{{ end }}}}{{{{ end }}}}
{{{{ define "incidentlens.discord.message" }}}}\
{{{{ if gt (len .Alerts) 1 }}}}{{{{ range $i, $alert := .Alerts }}}}{{{{ if lt $i {_SHOWN} }}}}\
{{{{ template "incidentlens.state" . }}}}: {{{{ template "incidentlens.discord.name" . }}}} \
[Incident]({{{{ .Annotations.incident_url }}}})
{{{{ end }}}}{{{{ end }}}}{{{{ if gt (len .Alerts) {_SHOWN} }}}}and more: see Grafana's list of alerts{{{{ end }}}}\
{{{{ else }}}}{{{{ range .Alerts }}}}\
{{{{ if .Labels.incident_id }}}}\
{{{{ if eq .Status "resolved" }}}}{{{{ template "incidentlens.end" . }}}}
{{{{ else }}}}\
**{{{{ .Labels.severity }}}}**, project {{{{ template "incidentlens.escape" .Labels.project }}}}\
{{{{ with .Labels.runbook }}}}, runbook {{{{ template "incidentlens.escape" . }}}}{{{{ end }}}}
{{{{ template "incidentlens.escape" .Labels.summary }}}}
{{{{ end }}}}{link}\
{{{{ else }}}}Grafana cannot ask IncidentLens what is open: see that it runs, and its data source.{{{{ end }}}}\
{{{{ end }}}}{{{{ end }}}}{{{{ end }}}}
{{{{ define "incidentlens.email.subject" }}}}\
{{{{ if gt (len .Alerts) 1 }}}}{{{{ len .Alerts }}}} incidents{{{{ else }}}}{{{{ range .Alerts }}}}\
{{{{ template "incidentlens.state" . }}}}: {{{{ template "incidentlens.name" . }}}}\
{{{{ end }}}}{{{{ end }}}}{{{{ end }}}}
{{{{ define "incidentlens.email.message" }}}}\
{{{{ range .Alerts }}}}{{{{ template "incidentlens.state" . }}}}: {{{{ template "incidentlens.name" . }}}}
{{{{ if .Labels.incident_id }}}}\
{{{{ if eq .Status "resolved" }}}}{{{{ template "incidentlens.end" . }}}}\
{{{{ else }}}}Severity {{{{ .Labels.severity }}}}, project {{{{ .Labels.project }}}}\
{{{{ with .Labels.runbook }}}}, runbook {{{{ . }}}}{{{{ end }}}}
{{{{ .Labels.summary }}}}{{{{ end }}}}
{mail_link}
{{{{ else }}}}Grafana cannot ask IncidentLens what is open: see that it runs, and its data source.
{{{{ end }}}}
{{{{ end }}}}{{{{ end }}}}
"""
