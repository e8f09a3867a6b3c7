-- Intake, signatures and detection: what a tick reads before it begins and moves when it ends.
-- Every table carries its project first in its key: no read ever crosses projects.
-- All times are bigint nanoseconds since the Unix epoch, as in Loki.

CREATE TABLE cursors (
    project text NOT NULL CHECK (project <> ''),
    query text NOT NULL,
    at bigint NOT NULL,
    PRIMARY KEY (project, query)
);

-- Records taken in within the overlap of two reads, by their id.
CREATE TABLE seen_records (
    project text NOT NULL CHECK (project <> ''),
    id text NOT NULL,
    ts bigint NOT NULL,
    PRIMARY KEY (project, id)
);
CREATE INDEX seen_records_by_time ON seen_records (project, ts);

CREATE TABLE templates (
    project text NOT NULL CHECK (project <> ''),
    signature text NOT NULL CHECK (signature <> ''),
    template text NOT NULL,
    family text NOT NULL,
    level text NOT NULL CHECK (level IN ('fatal', 'error', 'warn', 'info', 'debug', 'trace', 'unknown')),
    first_seen bigint NOT NULL,
    last_seen bigint NOT NULL,
    count bigint NOT NULL CHECK (count >= 0),
    alias_of text CHECK (alias_of <> signature),
    label text,
    search tsvector NOT NULL,
    PRIMARY KEY (project, signature),
    -- Deferred: a tick may save the alias before the name it leads to.
    FOREIGN KEY (project, alias_of) REFERENCES templates (project, signature) DEFERRABLE INITIALLY DEFERRED
);
CREATE INDEX templates_by_count ON templates (project, count, signature);
CREATE INDEX templates_by_first_seen ON templates (project, first_seen, signature);
CREATE INDEX templates_by_last_seen ON templates (project, last_seen, signature);
CREATE INDEX templates_by_alias ON templates (project, alias_of) WHERE alias_of IS NOT NULL;
CREATE INDEX templates_search ON templates USING gin (search);

-- Per minute. The bucket comes first, so that the writes of a tick fall together and old ones are cut off cheaply.
CREATE TABLE counts (
    project text NOT NULL CHECK (project <> ''),
    bucket bigint NOT NULL,
    signature text NOT NULL,
    service text NOT NULL,
    level text NOT NULL CHECK (level IN ('fatal', 'error', 'warn', 'info', 'debug', 'trace', 'unknown')),
    count bigint NOT NULL CHECK (count >= 0),
    PRIMARY KEY (project, bucket, signature, service, level)
);
CREATE INDEX counts_by_signature ON counts (project, signature, bucket);

-- The same per hour, kept longer: lists over days read this.
CREATE TABLE counts_hourly (
    project text NOT NULL CHECK (project <> ''),
    bucket bigint NOT NULL,
    signature text NOT NULL,
    service text NOT NULL,
    level text NOT NULL CHECK (level IN ('fatal', 'error', 'warn', 'info', 'debug', 'trace', 'unknown')),
    count bigint NOT NULL CHECK (count >= 0),
    PRIMARY KEY (project, bucket, signature, service, level)
);
CREATE INDEX counts_hourly_by_signature ON counts_hourly (project, signature, bucket);

CREATE TABLE detector_state (
    project text NOT NULL CHECK (project <> ''),
    key text NOT NULL,
    value bytea NOT NULL,
    PRIMARY KEY (project, key)
);

CREATE TABLE services (
    project text NOT NULL CHECK (project <> ''),
    service text NOT NULL,
    first_seen bigint NOT NULL,
    PRIMARY KEY (project, service)
);
