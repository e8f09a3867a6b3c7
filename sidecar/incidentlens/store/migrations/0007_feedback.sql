-- What a person said can be taken back; it stays, marked, so that what it did meanwhile can be explained.
ALTER TABLE feedback ADD COLUMN id text;
UPDATE feedback SET id = 'f_' || seq;
ALTER TABLE feedback ALTER COLUMN id SET NOT NULL;
ALTER TABLE feedback ADD COLUMN withdrawn_at bigint;
ALTER TABLE feedback ADD COLUMN withdrawn_by text;
ALTER TABLE feedback ADD CONSTRAINT feedback_withdrawn_by_somebody
    CHECK ((withdrawn_at IS NULL) = (withdrawn_by IS NULL));
CREATE UNIQUE INDEX feedback_by_id ON feedback (project, id);
CREATE INDEX feedback_in_force ON feedback (project, at) WHERE withdrawn_at IS NULL;
ALTER TABLE feedback DROP CONSTRAINT feedback_verdict_check;
ALTER TABLE feedback ADD CONSTRAINT feedback_verdict_check
    CHECK (verdict IN ('right_cause', 'wrong_cause', 'noise', 'helped', 'not_helped', 'note'));

-- What is taken back no longer counts for the runbook.
CREATE FUNCTION incidentlens_tally_feedback_withdrawn() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE incident_tallies AS tally SET n = tally.n - 1
    FROM incidents AS incident
    WHERE incident.project = NEW.project AND incident.id = NEW.incident_id AND incident.runbook IS NOT NULL
        AND tally.project = NEW.project AND tally.step = 86400000000000
        AND tally.at = incident.opened_at - incident.opened_at % 86400000000000
        AND tally.dim = 'runbook' AND tally.key = incident.runbook AND tally.sub = 'feedback:' || NEW.verdict;
    RETURN NULL;
END
$$;
CREATE TRIGGER feedback_tally_withdrawn AFTER UPDATE ON feedback FOR EACH ROW
    WHEN (OLD.withdrawn_at IS NULL AND NEW.withdrawn_at IS NOT NULL)
    EXECUTE FUNCTION incidentlens_tally_feedback_withdrawn();
