-- How many incidents of each kind were opened in each hour and day (UTC): what statistics over months add up, instead
-- of reading every incident. Kept by triggers, so it agrees with the incidents whoever writes them.
--   dim          key            sub                        total
--   severity     its value
--   status …     its value      (disposition, outcome too)
--   held, told   'true'
--   detect       bin            time to detect, ns: an eighth of an octave a bin (9 %)
--   resolve      bin            time to resolve, ns, of resolved and closed ones
--   runbook      id             'status:…', 'disposition:…', 'outcome:…', 'reopened', 'feedback:…'; a day only
CREATE TABLE incident_tallies (
    project text NOT NULL,
    step bigint NOT NULL CHECK (step IN (3600000000000, 86400000000000)),
    at bigint NOT NULL,
    dim text NOT NULL,
    key text NOT NULL,
    sub text NOT NULL,
    n bigint NOT NULL,
    total numeric NOT NULL,
    PRIMARY KEY (project, step, dim, at, key, sub) INCLUDE (n, total)
);

CREATE FUNCTION incidentlens_bin(duration bigint) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN duration <= 0 THEN '-1' ELSE floor(ln(duration::double precision) / ln(2::double precision) * 8)::text END
$$;

-- What one incident counts as.
CREATE FUNCTION incidentlens_marks(
    opened_at bigint, onset bigint, ended_at bigint, status text, severity text, disposition text, outcome text,
    held boolean, told boolean, runbook text, reopened bigint
) RETURNS TABLE (dim text, key text, sub text, total bigint) LANGUAGE sql IMMUTABLE AS $$
    SELECT mark.dim, mark.key, mark.sub, mark.total
    FROM (VALUES
        ('severity', severity, '', 0::bigint),
        ('status', status, '', 0),
        ('disposition', disposition, '', 0),
        ('outcome', outcome, '', 0),
        ('held', CASE WHEN held THEN 'true' END, '', 0),
        ('told', CASE WHEN told THEN 'true' END, '', 0),
        ('detect', incidentlens_bin(opened_at - onset), '', opened_at - onset),
        ('resolve', CASE WHEN status IN ('resolved', 'closed') THEN incidentlens_bin(ended_at - opened_at) END, '',
            ended_at - opened_at),
        ('runbook', runbook, 'status:' || status, 0),
        ('runbook', runbook, 'disposition:' || disposition, 0),
        ('runbook', CASE WHEN outcome IS NOT NULL THEN runbook END, 'outcome:' || outcome, 0),
        ('runbook', CASE WHEN reopened > 0 THEN runbook END, 'reopened', 0)
    ) AS mark (dim, key, sub, total)
    WHERE mark.key IS NOT NULL
$$;

CREATE FUNCTION incidentlens_tally_added() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO incident_tallies AS tally (project, step, at, dim, key, sub, n, total)
    SELECT added.project, steps.step, added.opened_at - added.opened_at % steps.step, mark.dim, mark.key, mark.sub,
        count(*), sum(mark.total)
    FROM added
    CROSS JOIN LATERAL incidentlens_marks(added.opened_at, added.onset, added.ended_at, added.status, added.severity,
        added.disposition, added.outcome, added.suppression_reason IS NOT NULL, added.told, added.runbook,
        added.reopened) AS mark
    JOIN (VALUES (3600000000000), (86400000000000)) AS steps (step)
        ON steps.step = 86400000000000 OR mark.dim <> 'runbook'
    GROUP BY 1, 2, 3, 4, 5, 6
    ON CONFLICT (project, step, dim, at, key, sub)
        DO UPDATE SET n = tally.n + excluded.n, total = tally.total + excluded.total;
    RETURN NULL;
END
$$;

-- For one row that was (OLD) and, but for a DELETE, is now (NEW): only what differs is written.
CREATE FUNCTION incidentlens_tally_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO incident_tallies AS tally (project, step, at, dim, key, sub, n, total)
    SELECT OLD.project, steps.step, mark.opened_at - mark.opened_at % steps.step, mark.dim, mark.key, mark.sub,
        sum(mark.sign), sum(mark.sign * mark.total)
    FROM (
        SELECT OLD.opened_at AS opened_at, -1 AS sign, was.*
        FROM incidentlens_marks(OLD.opened_at, OLD.onset, OLD.ended_at, OLD.status, OLD.severity, OLD.disposition,
            OLD.outcome, OLD.suppression_reason IS NOT NULL, OLD.told, OLD.runbook, OLD.reopened) AS was
        UNION ALL
        SELECT NEW.opened_at, 1, new_mark.*
        FROM incidentlens_marks(NEW.opened_at, NEW.onset, NEW.ended_at, NEW.status, NEW.severity, NEW.disposition,
            NEW.outcome, NEW.suppression_reason IS NOT NULL, NEW.told, NEW.runbook, NEW.reopened) AS new_mark
        WHERE TG_OP = 'UPDATE'
    ) AS mark
    JOIN (VALUES (3600000000000), (86400000000000)) AS steps (step)
        ON steps.step = 86400000000000 OR mark.dim <> 'runbook'
    GROUP BY 1, 2, 3, 4, 5, 6
    HAVING sum(mark.sign) <> 0 OR sum(mark.sign * mark.total) <> 0
    ON CONFLICT (project, step, dim, at, key, sub)
        DO UPDATE SET n = tally.n + excluded.n, total = tally.total + excluded.total;
    RETURN NULL;
END
$$;

CREATE TRIGGER incidents_tally_added AFTER INSERT ON incidents
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION incidentlens_tally_added();
CREATE TRIGGER incidents_tally_changed AFTER UPDATE ON incidents FOR EACH ROW
    WHEN ((OLD.opened_at, OLD.onset, OLD.ended_at, OLD.status, OLD.severity, OLD.disposition, OLD.outcome,
            OLD.suppression_reason IS NULL, OLD.told, OLD.runbook, OLD.reopened > 0)
        IS DISTINCT FROM (NEW.opened_at, NEW.onset, NEW.ended_at, NEW.status, NEW.severity, NEW.disposition,
            NEW.outcome, NEW.suppression_reason IS NULL, NEW.told, NEW.runbook, NEW.reopened > 0))
    EXECUTE FUNCTION incidentlens_tally_changed();
CREATE TRIGGER incidents_tally_removed AFTER DELETE ON incidents FOR EACH ROW
    EXECUTE FUNCTION incidentlens_tally_changed();

-- Feedback counts for the runbook the incident had when it was given.
CREATE FUNCTION incidentlens_tally_feedback() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO incident_tallies AS tally (project, step, at, dim, key, sub, n, total)
    SELECT project, 86400000000000, opened_at - opened_at % 86400000000000, 'runbook', runbook,
        'feedback:' || NEW.verdict, 1, 0
    FROM incidents WHERE project = NEW.project AND id = NEW.incident_id AND runbook IS NOT NULL
    ON CONFLICT (project, step, dim, at, key, sub) DO UPDATE SET n = tally.n + 1;
    RETURN NULL;
END
$$;
CREATE TRIGGER feedback_tally AFTER INSERT ON feedback FOR EACH ROW EXECUTE FUNCTION incidentlens_tally_feedback();
