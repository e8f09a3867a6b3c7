-- Incidents, and all that hangs on one. Everything refers to its incident by (project, incident_id): nothing can hang
-- on another project's incident.

CREATE TABLE incidents (
    project text NOT NULL CHECK (project <> ''),
    id text NOT NULL CHECK (id <> ''),
    title text NOT NULL,
    service text NOT NULL,
    status text NOT NULL CHECK (status IN ('open', 'verifying', 'resolved', 'closed', 'ignored', 'suppressed')),
    severity text NOT NULL CHECK (severity IN ('critical', 'high', 'medium', 'low')),
    disposition text NOT NULL
        CHECK (disposition IN ('ESCALATE', 'NEEDS_ONCALL', 'NEEDS_DEV', 'OBSERVE', 'NO_ACTION')),
    confidence double precision NOT NULL CHECK (confidence >= 0 AND confidence <= 1),
    onset bigint NOT NULL,
    opened_at bigint NOT NULL,
    last_seen bigint NOT NULL,
    updated_at bigint NOT NULL,
    ended_at bigint,
    count bigint NOT NULL CHECK (count >= 0),
    analysed_count bigint NOT NULL CHECK (analysed_count >= 0),
    reopened bigint NOT NULL CHECK (reopened >= 0),
    root_cause jsonb CHECK (
        (root_cause ->> 'confidence')::double precision >= 0 AND (root_cause ->> 'confidence')::double precision <= 1
    ),
    runbook text,
    summary text NOT NULL,
    suppression_reason text,
    suppression_detail text,
    labels jsonb NOT NULL CHECK (jsonb_typeof(labels) = 'object'),
    pinned boolean NOT NULL,
    -- Kept beside the value for lists: what they filter and sort by.
    severity_rank smallint NOT NULL GENERATED ALWAYS AS (
        CASE severity WHEN 'critical' THEN 4 WHEN 'high' THEN 3 WHEN 'medium' THEN 2 ELSE 1 END
    ) STORED,
    services text[] NOT NULL,
    signatures text[] NOT NULL,
    search tsvector NOT NULL,
    outcome text CHECK (outcome IN ('resolved', 'still_firing', 're_escalated', 'inconclusive')),
    told boolean NOT NULL DEFAULT false,
    PRIMARY KEY (project, id),
    CONSTRAINT incidents_ended_when_over CHECK ((status IN ('resolved', 'closed', 'ignored')) = (ended_at IS NOT NULL)),
    CONSTRAINT incidents_suppression_whole CHECK ((suppression_reason IS NULL) = (suppression_detail IS NULL))
);
CREATE INDEX incidents_by_last_seen ON incidents (project, last_seen, id);
CREATE INDEX incidents_by_opened_at ON incidents (project, opened_at, id);
CREATE INDEX incidents_by_severity ON incidents (project, severity_rank, last_seen, id);
CREATE INDEX incidents_by_count ON incidents (project, count, id);
CREATE INDEX incidents_by_status ON incidents (project, status, last_seen, id);
CREATE INDEX incidents_by_disposition ON incidents (project, disposition, last_seen, id);
CREATE INDEX incidents_by_runbook ON incidents (project, runbook, last_seen, id) WHERE runbook IS NOT NULL;
CREATE INDEX incidents_of_runbook ON incidents (project, runbook, opened_at) WHERE runbook IS NOT NULL;
CREATE INDEX incidents_by_ended_at ON incidents (project, ended_at) WHERE ended_at IS NOT NULL;
CREATE INDEX incidents_active ON incidents (project, updated_at) WHERE ended_at IS NULL;
CREATE INDEX incidents_services ON incidents USING gin (services);
CREATE INDEX incidents_signatures ON incidents USING gin (signatures);
CREATE INDEX incidents_search ON incidents USING gin (search);

CREATE TABLE problems (
    project text NOT NULL,
    incident_id text NOT NULL,
    id text NOT NULL CHECK (id <> ''),
    position integer NOT NULL CHECK (position >= 0),
    service text NOT NULL,
    signature text NOT NULL,
    template text NOT NULL,
    level text NOT NULL CHECK (level IN ('fatal', 'error', 'warn', 'info', 'debug', 'trace', 'unknown')),
    kind text NOT NULL
        CHECK (kind IN ('spike', 'new_signature', 'silence', 'error_share', 'latency', 'rare_sequence', 'alert')),
    onset bigint NOT NULL,
    last_seen bigint NOT NULL,
    count bigint NOT NULL CHECK (count >= 0),
    baseline_per_minute double precision NOT NULL,
    rate_per_minute double precision NOT NULL,
    score double precision NOT NULL,
    severity_weight double precision NOT NULL,
    spike_ratio double precision NOT NULL,
    criticality double precision NOT NULL,
    why text NOT NULL,
    suppressed_reason text,
    suppressed_detail text,
    trace_ids text[] NOT NULL,
    mentions text[] NOT NULL,
    PRIMARY KEY (project, incident_id, id),
    FOREIGN KEY (project, incident_id) REFERENCES incidents (project, id) ON DELETE CASCADE,
    CONSTRAINT problems_suppression_whole CHECK ((suppressed_reason IS NULL) = (suppressed_detail IS NULL))
);
CREATE INDEX problems_by_service ON problems (project, service, last_seen);
CREATE INDEX problems_by_signature ON problems (project, signature, last_seen);
CREATE INDEX problems_by_time ON problems (project, last_seen);

CREATE TABLE problem_samples (
    project text NOT NULL,
    incident_id text NOT NULL,
    problem_id text NOT NULL,
    position integer NOT NULL CHECK (position >= 0),
    id text NOT NULL,
    ts bigint NOT NULL,
    service text NOT NULL,
    stream text NOT NULL,
    level text NOT NULL CHECK (level IN ('fatal', 'error', 'warn', 'info', 'debug', 'trace', 'unknown')),
    line text NOT NULL,
    message text NOT NULL,
    trace_id text,
    signature text,
    PRIMARY KEY (project, incident_id, problem_id, position),
    FOREIGN KEY (project, incident_id, problem_id) REFERENCES problems (project, incident_id, id) ON DELETE CASCADE
);

CREATE TABLE members (
    project text NOT NULL,
    incident_id text NOT NULL,
    position integer NOT NULL CHECK (position >= 0),
    problem_id text NOT NULL,
    why text NOT NULL,
    by text NOT NULL,
    PRIMARY KEY (project, incident_id, position),
    FOREIGN KEY (project, incident_id, problem_id) REFERENCES problems (project, incident_id, id) ON DELETE CASCADE
);
CREATE INDEX members_by_problem ON members (project, incident_id, problem_id);

CREATE TABLE evidence (
    project text NOT NULL,
    incident_id text NOT NULL,
    id text NOT NULL CHECK (id <> ''),
    seq bigint GENERATED ALWAYS AS IDENTITY,
    kind text NOT NULL,
    service text NOT NULL,
    ts bigint NOT NULL,
    text text NOT NULL,
    data jsonb NOT NULL,
    PRIMARY KEY (project, incident_id, id),
    FOREIGN KEY (project, incident_id) REFERENCES incidents (project, id) ON DELETE CASCADE
);

CREATE TABLE analyses (
    project text NOT NULL,
    incident_id text NOT NULL,
    seq bigint GENERATED ALWAYS AS IDENTITY,
    at bigint NOT NULL,
    source text NOT NULL,
    severity text NOT NULL CHECK (severity IN ('critical', 'high', 'medium', 'low')),
    disposition text NOT NULL
        CHECK (disposition IN ('ESCALATE', 'NEEDS_ONCALL', 'NEEDS_DEV', 'OBSERVE', 'NO_ACTION')),
    confidence double precision NOT NULL CHECK (confidence >= 0 AND confidence <= 1),
    body jsonb NOT NULL,
    PRIMARY KEY (project, incident_id, seq),
    FOREIGN KEY (project, incident_id) REFERENCES incidents (project, id) ON DELETE CASCADE
);

-- A decision keeps the whole policy it was taken under; as that seldom changes, each is kept once.
CREATE TABLE policies (
    project text NOT NULL CHECK (project <> ''),
    digest text NOT NULL,
    body jsonb NOT NULL,
    PRIMARY KEY (project, digest)
);

CREATE TABLE decisions (
    project text NOT NULL,
    id text NOT NULL CHECK (id <> ''),
    incident_id text NOT NULL,
    seq bigint GENERATED ALWAYS AS IDENTITY,
    at bigint NOT NULL,
    mode text NOT NULL CHECK (mode IN ('learn', 'shadow', 'live')),
    disposition text NOT NULL
        CHECK (disposition IN ('ESCALATE', 'NEEDS_ONCALL', 'NEEDS_DEV', 'OBSERVE', 'NO_ACTION')),
    severity text NOT NULL CHECK (severity IN ('critical', 'high', 'medium', 'low')),
    actions text[] NOT NULL CHECK (actions <@ ARRAY['enrich', 'suppress', 'notify']),
    tell boolean NOT NULL,
    reasons jsonb NOT NULL,
    policy text NOT NULL,
    inputs jsonb NOT NULL,
    PRIMARY KEY (project, id),
    UNIQUE (project, incident_id, id),
    FOREIGN KEY (project, incident_id) REFERENCES incidents (project, id) ON DELETE CASCADE,
    FOREIGN KEY (project, policy) REFERENCES policies (project, digest)
);
CREATE INDEX decisions_by_incident ON decisions (project, incident_id, at, seq);
CREATE INDEX decisions_by_time ON decisions (project, at, seq);

-- An action follows from a decision on the same incident; its key makes it happen once.
CREATE TABLE actions (
    project text NOT NULL,
    key text NOT NULL CHECK (key <> ''),
    incident_id text NOT NULL,
    decision_id text NOT NULL,
    seq bigint GENERATED ALWAYS AS IDENTITY,
    kind text NOT NULL CHECK (kind IN ('enrich', 'suppress', 'notify')),
    at bigint NOT NULL,
    state text NOT NULL CHECK (state IN ('done', 'shadow', 'digest', 'failed')),
    payload jsonb NOT NULL,
    PRIMARY KEY (project, key),
    FOREIGN KEY (project, incident_id, decision_id) REFERENCES decisions (project, incident_id, id) ON DELETE CASCADE
);
CREATE INDEX actions_by_incident ON actions (project, incident_id, decision_id);
CREATE INDEX actions_by_time ON actions (project, at, seq);
CREATE INDEX actions_by_kind ON actions (project, kind, at, seq);
CREATE INDEX actions_by_state ON actions (project, state, at, seq);

CREATE TABLE verifications (
    project text NOT NULL,
    id text NOT NULL CHECK (id <> ''),
    incident_id text NOT NULL,
    seq bigint GENERATED ALWAYS AS IDENTITY,
    started_at bigint NOT NULL,
    quiet_ns bigint NOT NULL CHECK (quiet_ns >= 0),
    quiet_since bigint,
    query text NOT NULL,
    checks jsonb NOT NULL,
    outcome text CHECK (outcome IN ('resolved', 'still_firing', 're_escalated', 'inconclusive')),
    ended_at bigint,
    why text NOT NULL,
    PRIMARY KEY (project, id),
    FOREIGN KEY (project, incident_id) REFERENCES incidents (project, id) ON DELETE CASCADE,
    CONSTRAINT verifications_ended_with_outcome CHECK ((outcome IS NULL) = (ended_at IS NULL))
);
CREATE INDEX verifications_by_incident ON verifications (project, incident_id, started_at);
CREATE INDEX verifications_open ON verifications (project, started_at) WHERE outcome IS NULL;
CREATE INDEX verifications_ended ON verifications (project, ended_at, outcome) WHERE outcome IS NOT NULL;

CREATE TABLE events (
    project text NOT NULL,
    incident_id text NOT NULL,
    seq bigint GENERATED ALWAYS AS IDENTITY,
    at bigint NOT NULL,
    kind text NOT NULL CHECK (kind <> ''),
    text text NOT NULL,
    by text NOT NULL,
    data jsonb NOT NULL,
    PRIMARY KEY (project, incident_id, seq),
    FOREIGN KEY (project, incident_id) REFERENCES incidents (project, id) ON DELETE CASCADE
);
CREATE INDEX events_by_time ON events (project, at, seq);

CREATE TABLE feedback (
    project text NOT NULL,
    incident_id text NOT NULL,
    seq bigint GENERATED ALWAYS AS IDENTITY,
    at bigint NOT NULL,
    by text NOT NULL,
    verdict text NOT NULL CHECK (verdict IN ('right_cause', 'wrong_cause', 'noise', 'helped', 'note')),
    text text NOT NULL,
    service text,
    PRIMARY KEY (project, incident_id, seq),
    FOREIGN KEY (project, incident_id) REFERENCES incidents (project, id) ON DELETE CASCADE
);
