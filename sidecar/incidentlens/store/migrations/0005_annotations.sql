-- What Grafana has of each incident's region, so that a change is sent once, whatever is restarted in between.
-- No reference to incidents: a region has to be taken out of Grafana after its incident is gone.
CREATE TABLE annotations (
    project text NOT NULL CHECK (project <> ''),
    incident_id text NOT NULL CHECK (incident_id <> ''),
    place text NOT NULL,
    grafana text NOT NULL,
    annotation_id bigint,
    sent text NOT NULL,
    attempts integer NOT NULL CHECK (attempts >= 0),
    next_attempt_at bigint NOT NULL,
    error text NOT NULL,
    PRIMARY KEY (project, incident_id, place)
);
