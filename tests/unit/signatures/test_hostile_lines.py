"""Lines made to hurt go through reading and signing in bounded processor time; what is cut off is counted."""

from __future__ import annotations

import random
import time

import polars as pl
import pytest

from incidentlens.intake.reading import EventReader
from incidentlens.model.records import LINES
from incidentlens.signatures import Catalogue
from incidentlens.signatures.explain import MAX_TEXT

_DICE = random.Random(1)
CASES = {
    "lines of a megabyte": [
        "x" * 1_000_000,
        "2026-03-10 20:58:10 ERROR " + "a b " * 250_000,
        '{"msg":"' + "y" * 1_000_000 + '"}',
        'level=error msg="' + "z " * 500_000 + '"',
    ],
    "JSON a thousand deep": ['{"a":' * 1000 + "1" + "}" * 1000, '{"msg":"x","a":' + "[" * 1000 + "]" * 1000 + "}"] * 20,
    "every token distinct": [
        " ".join("".join(_DICE.choices("abcdefghij", k=8)) for _ in range(200)) for _ in range(300)
    ],
    "control characters": ["".join(map(chr, range(32))) * 50, "\x1b[" * 5000, "\x00" * 100_000] * 10,
    "what regular expressions stumble over": [
        "[" * 50_000 + "]" * 50_000, "(" * 100_000, '"' * 99_999, "'" * 99_999, "a=b " * 30_000, "/" * 100_000,
        "0 " * 50_000, "a." * 50_000, ":" * 100_000, "=: " * 30_000, "\\" * 99_999, "aA" * 50_000 + "!",
    ],
    "causes without end": ["Caused by: " + "x" * 10_000] * 500,
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_hostile_lines_cost_bounded_time_and_make_bounded_templates(name: str) -> None:
    lines = CASES[name]
    frame = {
        "ts": [10**18] * len(lines),
        "service": ["unknown"] * len(lines),
        "stream": ["{}"] * len(lines),
        "metadata": [None] * len(lines),
        "line": lines,
    }
    catalogue, begun = Catalogue(), time.process_time()
    signed = catalogue.sign(EventReader().read(pl.DataFrame(frame, schema=LINES)))
    assert time.process_time() - begun < 15
    assert signed["template"].str.len_chars().max() <= 4 * MAX_TEXT
    assert signed["signature"].str.len_chars().max() < 200
    longest = signed.select(pl.coalesce("exception", "message").str.len_bytes()).to_series().max()
    assert (catalogue.stats().truncated > 0) is (isinstance(longest, int) and longest > MAX_TEXT)
