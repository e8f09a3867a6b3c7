-- What a language model was asked about, and everything that became of it: one row a wish.
CREATE TABLE investigations (
    project text NOT NULL CHECK (project <> ''),
    id text NOT NULL CHECK (id <> ''),
    incident_id text NOT NULL,
    signature text NOT NULL,
    state text NOT NULL CHECK (state IN ('wanted', 'running', 'done', 'held', 'failed')),
    wanted_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    leased_until bigint,
    attempts integer NOT NULL CHECK (attempts >= 0),
    digest text NOT NULL,
    prompt_version text NOT NULL,
    why text NOT NULL,
    model text NOT NULL,
    calls integer NOT NULL CHECK (calls >= 0),
    tokens bigint NOT NULL CHECK (tokens >= 0),
    cost double precision NOT NULL CHECK (cost >= 0),
    run jsonb NOT NULL CHECK (jsonb_typeof(run) = 'object'),
    PRIMARY KEY (project, id),
    FOREIGN KEY (project, incident_id) REFERENCES incidents (project, id) ON DELETE CASCADE,
    CHECK ((state = 'running') = (leased_until IS NOT NULL)),
    CHECK (state NOT IN ('held', 'failed') OR why <> '')
);
CREATE INDEX investigations_open ON investigations (project, wanted_at) WHERE state IN ('wanted', 'running');
CREATE INDEX investigations_of_incident ON investigations (project, incident_id, wanted_at);
CREATE INDEX investigations_spent ON investigations (project, updated_at) INCLUDE (calls, tokens, cost) WHERE calls > 0;
CREATE INDEX investigations_asked ON investigations (project, signature, updated_at) WHERE calls > 0;
CREATE INDEX investigations_answered ON investigations (project, digest) WHERE state = 'done';
