"""What a panel says while it has nothing to show: why that may be, and what to do."""

from __future__ import annotations

DASH = "–"  # a figure that nothing speaks for

NO_INCIDENTS = "No incidents in this time range. Should there be? “Sidecar health” says whether Loki is read."
NONE_FOUND = "No incidents in this time range. Is Loki read? See “Sidecar health”."
ALL_QUIET = "Nothing is open. What was found before is in the time range above; widen it to look further back."
NO_SIGNATURES = "No log messages are known yet. They are learnt from Loki: check “queries” in incidentlens.yaml."
NOTHING_NEW = "No message was seen for the first time in this time range."
NOTHING_GROWS = "No message comes more often than usual. In the first minutes nothing is known to compare with."
NOTHING_HELD = "Nothing was held back in this time range."
NO_ACTIONS = "Nothing was done in this time range."
NO_RUNBOOKS = "No runbook matched in this time range. The command “incidentlens runbooks new” begins one."
NO_WATCHES = "No watch ended in this time range: they follow what somebody was told of, until it is quiet."
NO_ANALYSES = "Nothing was analysed in this time range."
NO_COST = "No model was asked in this time range; runbooks and rules cost nothing."
NO_RECORDS = "No records were taken in. Does “queries” in incidentlens.yaml match any stream? Try it in Explore."
NO_RUNS = "This process has not read Loki since it began; another one may. Its /metrics have these figures too."
NO_FAILURES = "No look at Loki since this process began, or none in this time range."
NO_TARGETS = "Nothing is published yet: see “publish” in configuration.md for annotations and events in Loki."
ALL_WELL = "Nothing is wrong."

NO_PAGE = "Set server.public_url"
CHOOSE = "Choose an incident above. Is the list empty? Widen the time range."
NO_EVIDENCE = "No evidence is kept of this incident. Or choose one above."
NO_CHAIN = "No chain: choose an incident above; one that was only alerted on has none."
NO_GRAPH = "No chain here. Choose an incident."
NO_STEPS = "No runbook fits this incident. Nothing else suggests a step. Or choose an incident above."
NO_DECISION = "Nothing was decided about it yet; or choose an incident above."
NO_ACTION_YET = "Nothing was done about it; or choose an incident above."
NO_WATCH_YET = "It is not watched: only what somebody was told of is; or choose an incident above."
NO_SIMILAR = "No other incident has a signature in common with it; or choose one above."

NO_EVENTS = (
    "No incident events in this time range. They come with “publish.loki_events: true” in incidentlens.yaml; is the "
    "Loki above the one that IncidentLens writes to?"
)
