"""What a model did is shown: on the page and in the API, whole, and marked as a model's."""

from __future__ import annotations

from pathlib import Path

from api_app import SHOP_VIEWER, Api, load
from builders import make_analysis
from incidentlens.model.analysis import Deterministic
from incidentlens.model.investigations import Investigation, InvestigationState
from incidentlens.model.terms import Disposition, Severity
from incidentlens.store.postgres import PostgresStore
from incidents_in_store import put

EVIL = "<script>alert(1)</script> {{ 7 * 7 }}"


async def with_a_model(store: PostgresStore) -> None:
    await put(store, "i1")
    rules = Deterministic(
        cause="c", summary="s", severity=Severity.HIGH, disposition=Disposition.NEEDS_DEV, confidence=0.5
    )
    details = {
        "name": "llama-3.3-70b-versatile", "tokens": 1200, "cost_usd": 0.0014, "seconds": 1.2, "prompt_version": "v",
        "struck": [{"part": "claim", "text": EVIL, "why": "cites nothing"}], "suggested_steps": [EVIL],
        "runbook_draft": {"name": EVIL, "description": EVIL, "steps": [EVIL]}, "undetermined": False,
    }  # fmt: skip
    analysis = make_analysis(source="model", cause=EVIL, rules=rules, details={"model": details})
    held = Investigation(
        id="inv_2", incident_id="i1", signature="s", state=InvestigationState.HELD, wanted_at=2, updated_at=2,
        why="2 calls within the hour; model.max_calls_per_hour is 2",
    )  # fmt: skip
    done = held.model_copy(
        update={"id": "inv_1", "state": InvestigationState.DONE, "why": "", "wanted_at": 1, "run": {"prompt": [EVIL]}}
    )
    async with store.transaction("shop") as tx:
        await tx.save_analysis("i1", 2 * 10**18, analysis)
        await tx.want_investigation(done)
        await tx.want_investigation(held)


async def test_the_page_marks_a_model_s_analysis_and_shows_what_was_struck_out_as_text(
    tmp_path: Path, postgres_store: PostgresStore
) -> None:
    api = Api(load(tmp_path, tokens=True), postgres_store)
    await with_a_model(api.store)
    async with api.client(SHOP_VIEWER) as client:
        page = (await client.get("/incidents/i1")).text
    assert "a language model" in page
    assert "llama-3.3-70b-versatile" in page
    assert "1 struck out" in page
    assert "max_calls_per_hour is 2" in page
    assert "<script>alert" not in page
    assert "{{ 7 * 7 }}" in page


async def test_the_api_gives_every_run_whole_and_only_to_its_project(
    tmp_path: Path, postgres_store: PostgresStore
) -> None:
    api = Api(load(tmp_path, tokens=True), postgres_store)
    await with_a_model(api.store)
    async with api.client(SHOP_VIEWER) as client:
        found = (await client.get("/api/incidents/i1/investigation")).json()
        whole = (await client.get("/api/incidents/i1")).json()
    assert [run["id"] for run in found["runs"]] == ["inv_2", "inv_1"]
    assert found["runs"][1]["run"] == {"prompt": [EVIL]}
    assert whole["investigations"][1]["run"] == {}
    assert found["analysis"]["rules"]["disposition"] == "NEEDS_DEV"
