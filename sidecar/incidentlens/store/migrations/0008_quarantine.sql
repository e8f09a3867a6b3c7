-- Records that made a stage raise: kept as they were, so that a tick can go on without them.
CREATE TABLE quarantine (
    project text NOT NULL CHECK (project <> ''),
    id text NOT NULL CHECK (id <> ''),
    ts bigint NOT NULL,
    service text NOT NULL,
    stream text NOT NULL,
    metadata text,
    line text NOT NULL,
    error text NOT NULL,
    at bigint NOT NULL,
    PRIMARY KEY (project, id)
);
CREATE INDEX quarantine_by_time ON quarantine (project, at, id);

-- When each pattern of a runbook last matched, and since when that has been looked at.
CREATE TABLE pattern_uses (
    project text NOT NULL CHECK (project <> ''),
    runbook text NOT NULL CHECK (runbook <> ''),
    pattern text NOT NULL,
    since bigint NOT NULL,
    last_matched_at bigint,
    PRIMARY KEY (project, runbook, pattern)
);
