"""A model looks at what no runbook settles: bounded, checked, kept, and never in the way of a tick."""

from __future__ import annotations

import asyncio
import json

import pytest

from incidentlens.model.clock import HOUR, MINUTE
from incidentlens.model.investigations import InvestigationState as State
from incidentlens.model.terms import Disposition
from incidentlens.store.base import Store
from investigating import Investigating, a_model, investigating
from running import FAILURE, NAME
from scripted_model import answer, completion, failing, halved, never, page, shown


def grounded(body):
    """A good answer: it blames what the first entry shows."""
    name = next(iter(shown(body)))
    cause = {"service": "shelves", "text": "The frobnicator lost its alignment", "evidence": [name]}
    claim = {"text": "frobnicator lost its alignment", "evidence": [name]}
    return answer(cause=cause, summary="The frobnicator lost its alignment.", confidence=0.8, claims=[claim])


async def test_what_no_runbook_settles_is_asked_once_and_the_answer_is_kept_with_its_run(store: Store) -> None:
    async with investigating(store, grounded) as (running, said):
        assert await running.investigate() == 1
        analysis = await running.analysis()
        assert analysis.source == "model"
        assert analysis.cause == "The frobnicator lost its alignment"
        assert analysis.rules is not None
        model = analysis.details["model"]
        assert model["name"] == "m1"
        assert model["tokens"] == 1200
        assert model["cost_usd"] == pytest.approx(0.0014)
        (wish,) = await running.wishes()
        assert wish.state is State.DONE
        assert wish.run["answer"]["cause"]["service"] == "shelves"
        assert wish.run["verdict"]["stands"] is True
        assert [message["role"] for message in wish.run["prompt"]] == ["system", "user"]
        assert await running.investigate() == 0
        assert len(said.asked) == 1
        (incident,) = await running.incidents()
        async with store.transaction(NAME) as tx:
            newest = (await tx.decisions(incident.id))[0]
            assert [event.text for event in await tx.events(incident.id) if "a model names shelves" in event.text]
        assert newest.inputs["analysis"]["source"] == "model"


async def test_the_key_goes_to_the_endpoint_and_nowhere_else(store: Store) -> None:
    async with investigating(store, grounded) as (running, said):
        await running.investigate()
        assert said.keys == ["Bearer k-secret"]
        (wish,) = await running.wishes()
        assert "k-secret" not in wish.model_dump_json()


async def test_a_runbook_that_fits_asks_no_model(store: Store) -> None:
    async with investigating(store, grounded) as (running, said):
        await running.investigate()
        asked = len(said.asked)
        running.loki.add({"app": "db"}, [(running.clock.now() + n, FAILURE.format(i=n)) for n in range(60)])
        await running.run(30)
        await running.investigate()
        assert len(said.asked) == asked


async def test_an_answer_that_invents_evidence_leaves_the_rules_analysis_as_it_is(store: Store) -> None:
    invented = answer(
        cause={"service": "shelves", "text": "The mainframe melted", "evidence": ["E77"]},
        claims=[{"text": "The mainframe melted at 900 degrees", "evidence": ["E1"]}],
    )
    async with investigating(store, lambda body: invented) as (running, _):
        before = await running.analysis()
        await running.investigate()
        after = await running.analysis()
        assert after.source == "rules"
        assert after.cause == before.cause
        assert after.disposition is before.disposition
        assert after.details["model"]["stands"] is False
        assert len(after.details["model"]["struck"]) >= 2


async def test_an_unreadable_answer_is_repaired_once(store: Store) -> None:
    async with investigating(store, lambda body: "I think that", grounded) as (running, said):
        await running.investigate()
        assert (await running.analysis()).source == "model"
        assert len(said.asked) == 2
        assert "could not be used" in said.prompt()
        (wish,) = await running.wishes()
        assert wish.calls == 2
        assert wish.tokens == 2400


async def test_an_answer_that_cannot_be_read_twice_is_a_failure_that_is_shown(store: Store) -> None:
    async with investigating(store, lambda body: "no") as (running, said):
        await running.investigate()
        (wish,) = await running.wishes()
        assert wish.state is State.FAILED
        assert "not even repaired" in wish.why
        assert len(said.asked) == 2
        assert (await running.analysis()).source == "rules"


@pytest.mark.parametrize(
    ("say", "why"),
    [
        (failing(500), "failed"),
        (failing(429, **{"retry-after": "1"}), "over its limit"),
        (failing(401), "refuses the key"),
        (failing(302, location="http://127.0.0.1:1/"), "did not answer|refuses"),
        (never, "in time"),
        (halved, "did not answer|cannot be reached"),
        (page, "did not answer"),
        (lambda body: completion(""), "empty"),
        (lambda body: completion("x", choices=[]), "empty"),
        (lambda body: "x" * 3_000_000, "too large|did not answer|cannot be reached"),
    ],
)
async def test_an_endpoint_that_does_not_answer_is_one_sentence_and_the_incident_goes_on(
    memory_store: Store, say, why: str
) -> None:
    async with investigating(memory_store, say, timeout=1_000_000_000) as (running, _):
        await running.investigate()
        (wish,) = await running.wishes()
        assert wish.state is State.FAILED
        assert any(part in wish.why for part in why.split("|")), wish.why
        assert (wish.calls, wish.tokens, wish.cost) == (0, 0, 0)
        assert (await running.analysis()).source == "rules"


async def test_the_next_endpoint_of_the_chain_answers_where_the_first_does_not(memory_store: Store) -> None:
    async with investigating(memory_store, grounded) as (running, said):
        running.project = running.project.__class__(
            **{
                **{name: getattr(running.project, name) for name in running.project.__slots__},
                "model": a_model("http://127.0.0.1:1/v1", said.url),
            }
        )
        await running.investigate()
        (wish,) = await running.wishes()
        assert wish.state is State.DONE
        assert wish.run["answers"][0]["endpoint"] == "e2"
        assert "cannot be reached" in wish.run["answers"][0]["tries"][0]


async def test_an_endpoint_that_refuses_a_schema_is_asked_without_one(memory_store: Store) -> None:
    def old(body):
        return failing(400)(body) if "response_format" in body else grounded(body)

    async with investigating(memory_store, old) as (running, said):
        await running.investigate()
        assert (await running.analysis()).source == "model"
        assert ["response_format" in body for body in said.asked] == [True, False]


async def test_an_endpoint_that_fails_again_and_again_is_left_alone_for_a_while(memory_store: Store) -> None:
    async with investigating(memory_store, failing(500), cooldown=0, concurrency=1) as (running, said):
        for number in range(5):
            text = f'level=error msg="gizmo{"abcdef"[number]} fell off rail"'
            await running.fails(f"shelf-{number}", text, seconds=10)
            await running.investigate()
        assert len(said.asked) == 3
        assert any("rest until" in wish.why for wish in await running.wishes() if wish.state is State.HELD)


async def test_ten_thousand_equal_incidents_cost_one_call(memory_store: Store) -> None:
    async with investigating(memory_store, grounded) as (running, said):
        await running.investigate()
        for _ in range(3):
            await running.run(20 * 60, every=30)
            await running.fails()
            await running.investigate()
        wishes = await running.wishes()
        assert len(said.asked) < len(wishes) or len(wishes) == 1
        assert len(said.asked) <= 2  # the cooldown is an hour


async def test_what_a_cap_holds_back_is_said_and_not_hidden(memory_store: Store) -> None:
    async with investigating(memory_store, grounded, max_calls_per_hour=1) as (running, said):
        await running.investigate()
        await running.fails("rails", 'level=error msg="gizmo fell off its rail"')
        await running.investigate()
        held = [wish for wish in await running.wishes() if wish.state is State.HELD]
        assert len(said.asked) == 1
        assert "max_calls_per_hour is 1" in held[-1].why
        assert "held" in running.ends


@pytest.mark.parametrize(
    ("budget", "why"), [({"daily_tokens": 1000}, "daily_tokens"), ({"daily_cost": 0.001}, "daily_cost")]
)
async def test_a_day_s_budget_holds(memory_store: Store, budget: dict, why: str) -> None:
    async with investigating(memory_store, grounded, **budget) as (running, said):
        await running.investigate()
        await running.fails("rails", 'level=error msg="gizmo fell off its rail"')
        await running.investigate()
        assert len(said.asked) == 1
        assert any(why in wish.why for wish in await running.wishes())


async def test_a_process_that_dies_in_the_middle_of_a_call_asks_again_after_the_lease_and_both_count(
    store: Store,
) -> None:
    async with investigating(store, never, grounded, timeout=600 * 10**9) as (running, said):
        dying = asyncio.create_task(running.investigate())
        while not said.asked:
            await asyncio.sleep(0.01)
        dying.cancel()
        await asyncio.gather(dying, return_exceptions=True)
        (wish,) = await running.wishes()
        assert wish.state is State.RUNNING
        assert wish.calls == 1  # what it may have cost counts
        assert await running.investigate() == 0
        running.clock.advance(11 * MINUTE)
        assert await running.investigate() == 1
        (wish,) = await running.wishes()
        assert wish.state is State.DONE
        assert wish.calls == 2


async def test_a_wish_that_waited_for_hours_is_not_asked(memory_store: Store) -> None:
    async with investigating(memory_store, grounded) as (running, said):
        running.clock.advance(7 * HOUR)
        await running.investigate()
        assert said.asked == []
        (wish,) = await running.wishes()
        assert wish.state is State.HELD


async def test_a_second_sidecar_does_not_ask_the_same(store: Store) -> None:
    async with investigating(store, grounded) as (running, said):
        other = Investigating(store, a_model(said.url))
        other.project, other.runner = running.project, running.runner
        await asyncio.gather(running.investigate(), other.investigate())
        assert len(said.asked) == 1
        await other.worker.close()


async def test_the_prompt_has_no_secret_and_not_the_whole_log(store: Store) -> None:
    secret = "glsa_" + "c3" * 20
    async with investigating(store, grounded) as (running, said):
        await running.fails("rails", f'level=error msg="gizmo fell off its rail" token={secret} n={{i}}')
        await running.investigate()
        for body in said.asked:
            text = json.dumps(body)
            assert secret not in text
            assert text.count("gizmo fell") < 12


async def test_a_model_s_words_never_reach_a_notification(store: Store) -> None:
    def loud(body):
        name = next(iter(shown(body)))
        cause = {"service": "shelves", "text": "frobnicator lost its alignment, call everybody", "evidence": [name]}
        return answer(cause=cause, summary="Call everybody.", confidence=1, disposition="ESCALATE", severity="critical")

    async with investigating(store, loud) as (running, _):
        await running.investigate()
        (incident,) = await running.incidents()
        assert (await running.analysis()).cause.endswith("call everybody")
        for action in await running.notified():
            assert "everybody" not in json.dumps(action.payload)
        assert incident.disposition is not Disposition.ESCALATE
