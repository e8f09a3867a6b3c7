-- What the panels count incidents by, in one index that answers by itself: figures over a quarter read no incident.
-- `lead` is the signature an incident is counted under: the suspected cause's, or the first that failed.
ALTER TABLE incidents ADD COLUMN lead text NOT NULL GENERATED ALWAYS AS (
    left(coalesce(nullif(root_cause ->> 'signature', ''), signatures[1], ''), 500)
) STORED;
CREATE INDEX incidents_facets ON incidents (project, opened_at)
    INCLUDE (severity, disposition, status, outcome, service, lead, runbook, reopened);

-- A person's doings are few among the events: how soon somebody looked.
CREATE INDEX events_by_persons ON events (project, at, incident_id) WHERE by <> 'incidentlens';

-- Only a model's analyses cost anything.
CREATE INDEX analyses_by_model ON analyses (project, at) WHERE source = 'model';

-- What wants notifying: of all that is not over, most is held back.
CREATE INDEX incidents_live ON incidents (project, disposition) WHERE status IN ('open', 'verifying');
