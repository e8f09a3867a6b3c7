-- Which sidecar reads which query, so that several share the work; the lease of one that is gone runs out. Times in ns.
CREATE TABLE sidecars (
    holder text PRIMARY KEY CHECK (holder <> ''),
    seen_until bigint NOT NULL
);
CREATE TABLE readings (
    project text NOT NULL CHECK (project <> ''),
    query text NOT NULL CHECK (query <> ''),
    holder text NOT NULL,
    leased_until bigint NOT NULL,
    wanted_until bigint NOT NULL,
    PRIMARY KEY (project, query)
);
