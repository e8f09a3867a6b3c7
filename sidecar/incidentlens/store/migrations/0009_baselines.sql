-- What a problem's score was compared with, in words; and which kinds of problem a maintenance window expects.
ALTER TABLE problems ADD COLUMN baseline text NOT NULL DEFAULT '';
ALTER TABLE maintenance ADD COLUMN kinds text[] NOT NULL DEFAULT '{}';
