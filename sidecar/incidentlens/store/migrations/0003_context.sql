-- What is known from outside, and what waits to be published.

CREATE TABLE deploys (
    project text NOT NULL CHECK (project <> ''),
    id text NOT NULL CHECK (id <> ''),
    service text NOT NULL,
    at bigint NOT NULL,
    version text NOT NULL,
    text text NOT NULL,
    planned_until bigint,
    PRIMARY KEY (project, id)
);
CREATE INDEX deploys_by_time ON deploys (project, at, id);

CREATE TABLE maintenance (
    project text NOT NULL CHECK (project <> ''),
    id text NOT NULL CHECK (id <> ''),
    services text[] NOT NULL,
    starts_at bigint NOT NULL,
    ends_at bigint NOT NULL,
    reason text NOT NULL,
    by text NOT NULL,
    PRIMARY KEY (project, id),
    CONSTRAINT maintenance_ends_after_it_starts CHECK (ends_at >= starts_at)
);
CREATE INDEX maintenance_by_end ON maintenance (project, ends_at);
CREATE INDEX maintenance_by_start ON maintenance (project, starts_at, id);

CREATE TABLE alerts (
    project text NOT NULL CHECK (project <> ''),
    fingerprint text NOT NULL CHECK (fingerprint <> ''),
    name text NOT NULL,
    starts_at bigint NOT NULL,
    ends_at bigint,
    labels jsonb NOT NULL,
    annotations jsonb NOT NULL,
    generator_url text NOT NULL,
    query text NOT NULL,
    PRIMARY KEY (project, fingerprint)
);
CREATE INDEX alerts_by_start ON alerts (project, starts_at);

CREATE TABLE outbox (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    project text NOT NULL CHECK (project <> ''),
    target text NOT NULL CHECK (target <> ''),
    key text NOT NULL CHECK (key <> ''),
    payload jsonb NOT NULL,
    created_at bigint NOT NULL,
    attempts integer NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    next_attempt_at bigint NOT NULL,
    leased_until bigint,
    done_at bigint,
    given_up_at bigint,
    error text,
    UNIQUE (project, target, key),
    CONSTRAINT outbox_done_or_given_up CHECK (done_at IS NULL OR given_up_at IS NULL),
    CONSTRAINT outbox_given_up_with_error CHECK (given_up_at IS NULL OR error IS NOT NULL)
);
CREATE INDEX outbox_waiting ON outbox (id) WHERE done_at IS NULL AND given_up_at IS NULL;
CREATE INDEX outbox_done ON outbox (project, done_at) WHERE done_at IS NOT NULL;
CREATE INDEX outbox_given_up ON outbox (project, given_up_at) WHERE given_up_at IS NOT NULL;
