"""What the system that this follows publishes of itself. Its own figures on its own cases: none is measured here."""

from __future__ import annotations

NAME = "the system this follows, as published"
CAUSE_RIGHT, CAUSE_CASES = 0.95, 20
RUNBOOK_HITS = 0.789
MEDIAN_INVESTIGATION_S = 1.05
P95_RUN_S = 4.84
VERIFIER_RESOLVED = 0.887
LINES_A_SECOND = 115
SUPPRESSION_PRECISION, SUPPRESSION_CASES = 1.0, 8
