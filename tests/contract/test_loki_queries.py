"""Every query that was asked of a real Loki is asked of the evaluator, and the answers are the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from incidentlens.logql import check, parse, pretty
from logql_asking import ask, same
from logql_memory import MemorySource, pushed

FOLDER = Path(__file__).parent / "loki"
ASKED = ("/loki/api/v1/query", "/loki/api/v1/query_range", "/loki/api/v1/format_query")
# What the parameters of a request are, not what the query is, decides here: the HTTP API's own tests hold it.
ABOUT_PARAMETERS = ("api/bad-start",)
RECORDINGS = [
    recording
    for recording in json.loads((FOLDER / "recordings.json").read_text("utf-8"))
    if recording["path"] in ASKED and recording["name"] not in ABOUT_PARAMETERS
]
SYNTAX = json.loads((FOLDER / "syntax.json").read_text("utf-8"))


@pytest.fixture(scope="module")
def corpus() -> MemorySource:
    return pushed(FOLDER / "corpus.json")


@pytest.mark.parametrize("recording", RECORDINGS, ids=lambda recording: str(recording["name"]))
def test_a_query_is_answered_as_a_real_loki_answered_it(recording: dict[str, Any], corpus: MemorySource) -> None:
    wanted = recording["response"]
    status, body = ask(corpus, recording["path"], recording["params"])
    assert status == wanted["status"]
    assert same(body, wanted["body"]), f"want {json.dumps(wanted['body'])[:2000]}\ngot  {json.dumps(body)[:2000]}"


@pytest.mark.parametrize("case", SYNTAX["format"], ids=lambda case: str(case["query"])[:60])
def test_a_query_is_laid_out_as_a_real_loki_lays_it_out(case: dict[str, str]) -> None:
    assert pretty(parse(case["query"])) == case["formatted"]


@pytest.mark.parametrize("case", SYNTAX["errors"], ids=lambda case: repr(case["query"])[:60])
def test_a_faulty_query_gets_the_words_and_the_status_of_a_real_loki(case: dict[str, Any]) -> None:
    error = check(case["query"])
    if case["error"] is None:
        assert error is None
    else:
        assert error is not None
        assert (error.status, str(error)) == (case["status"], case["error"])
