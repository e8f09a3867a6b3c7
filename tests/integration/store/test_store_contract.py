"""What both stores promise of what a tick writes; the rest is in test_store_outside."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import pytest

from builders import (
    PROJECT,
    T0,
    make_action,
    make_analysis,
    make_decision,
    make_event,
    make_evidence,
    make_incident,
    make_problem,
    make_sample,
    make_template,
    make_verification,
)
from incidentlens.model.clock import DAY, HOUR, MINUTE, SECOND
from incidentlens.model.decisions import Check, Feedback
from incidentlens.model.incidents import Membership, Suppression
from incidentlens.model.signatures import SignatureCount
from incidentlens.model.terms import Level, Outcome, ProblemKind, Severity, Status
from incidentlens.store.base import Quarantined, Store, StoreRefused


class Failure(Exception):
    pass


async def test_a_cursor_is_where_it_was_last_put(store: Store) -> None:
    async with store.transaction(PROJECT) as tx:
        assert await tx.cursor("errors") is None
        await tx.set_cursor("errors", 5)
        await tx.set_cursor("errors", 7)
    async with store.transaction(PROJECT) as tx:
        assert await tx.cursor("errors") == 7
    async with store.transaction("other") as tx:
        assert await tx.cursor("errors") is None


async def test_an_exception_takes_everything_back(store: Store) -> None:
    async with store.transaction(PROJECT) as tx:
        await tx.set_cursor("errors", 5)
        await tx.save_incident(make_incident())
        await tx.add_event(make_event())
    with contextlib.suppress(Failure):
        async with store.transaction(PROJECT) as tx:
            await tx.set_cursor("errors", 6)
            await tx.add_seen([("r_1", 1)], 0)
            await tx.save_templates([make_template()])
            await tx.save_incident(make_incident(title="changed", count=99))
            await tx.save_incident(make_incident("i2"))
            await tx.add_decision(make_decision())
            await tx.add_action(make_action())
            await tx.add_event(make_event("decided"))
            await tx.save_verification(make_verification())
            await tx.enqueue("loki", "k", {"a": 1}, T0)
            raise Failure
    async with store.transaction(PROJECT) as tx:
        assert await tx.cursor("errors") == 5
        assert await tx.seen(0) == set()
        assert await tx.templates() == []
        assert await tx.incident("i1") == make_incident()
        assert await tx.incident("i2") is None
        assert await tx.decisions("i1") == []
        assert await tx.actions("i1") == []
        assert await tx.open_verifications() == []
        assert await tx.verifications("i1") == []
        assert [event.kind for event in await tx.events("i1")] == ["opened"]
    assert await store.claim_outbox(T0, 10) == []


async def test_transactions_of_one_project_follow_each_other_and_those_of_two_do_not_wait(store: Store) -> None:
    order: list[str] = []
    inside = asyncio.Event()
    go_on = asyncio.Event()

    async def first() -> None:
        async with store.transaction(PROJECT) as tx:
            order.append("first in")
            inside.set()
            await go_on.wait()
            await tx.set_cursor("q", 1)
            order.append("first out")

    async def second() -> None:
        await inside.wait()
        async with store.transaction(PROJECT) as tx:
            order.append("second in")
            assert await tx.cursor("q") == 1

    async def third() -> None:
        await inside.wait()
        async with store.transaction("other"):
            order.append("other in")
            go_on.set()

    await asyncio.gather(first(), second(), third())
    assert order == ["first in", "other in", "first out", "second in"]


async def test_seen_records_of_a_span_that_is_kept_are_not_forgotten(store: Store) -> None:
    async with store.transaction(PROJECT) as tx:
        await tx.add_seen([(str(n), T0 + n * SECOND) for n in range(100)], 0)
        await tx.add_seen(
            [("late", T0 + 11 * SECOND), ("lost", T0 + 40 * SECOND)], T0 + 90 * SECOND, [(T0, T0 + 12 * SECOND)]
        )
    async with store.transaction(PROJECT) as tx:
        assert await tx.seen(0) == {"late", *map(str, range(13)), *map(str, range(90, 100))}


async def test_records_put_aside_are_kept_once_as_they_came(store: Store) -> None:
    record = Quarantined(
        id="r_1", ts=T0, service="db", stream="{}", metadata=None, line="\x00 odd", error="ValueError: no", at=T0 + 1
    )
    async with store.transaction(PROJECT) as tx:
        await tx.add_quarantined([record, record.model_copy(update={"id": "r_2", "at": T0 + DAY})])
        await tx.add_quarantined([record.model_copy(update={"error": "another"})])
    assert (await store.prune(PROJECT, T0 + HOUR)).quarantined == 1
    assert (await store.prune(PROJECT, T0 + 2 * DAY)).quarantined == 1


async def test_seen_records_are_remembered_until_they_are_forgotten(store: Store) -> None:
    async with store.transaction(PROJECT) as tx:
        await tx.add_seen([("a", T0), ("b", T0 + SECOND), ("c", T0 + 20 * SECOND), ("a", T0)], 0)
    async with store.transaction(PROJECT) as tx:
        assert await tx.seen(T0) == {"a", "b", "c"}
        assert await tx.seen(T0 + SECOND) == {"b", "c"}
        await tx.add_seen([("d", T0 + 21 * SECOND)], T0 + SECOND)
        assert await tx.seen(0) == {"b", "c", "d"}
    async with store.transaction("other") as tx:
        assert await tx.seen(0) == set()


async def test_templates_are_replaced_by_their_signature(store: Store) -> None:
    one, two = make_template("a#1"), make_template("b#2", alias_of="a#1", label="Pool")
    async with store.transaction(PROJECT) as tx:
        await tx.save_templates([two, one])  # the alias before what it leads to
    async with store.transaction(PROJECT) as tx:
        assert await tx.templates() == [one, two]
        await tx.save_templates([one.model_copy(update={"count": 50})])
        assert [template.count for template in await tx.templates()] == [50, 41]


async def test_an_alias_leads_to_a_template_that_is_there(store: Store) -> None:
    with pytest.raises(StoreRefused):
        async with store.transaction(PROJECT) as tx:
            await tx.save_templates([make_template("b#2", alias_of="nowhere#0")])
    async with store.transaction(PROJECT) as tx:
        assert await tx.templates() == []


async def test_counts_given_twice_within_a_batch_or_over_batches_are_added(store: Store) -> None:
    count = SignatureCount(service="db", signature="a#1", level=Level.ERROR, bucket=T0, count=3)
    async with store.transaction(PROJECT) as tx:
        await tx.add_counts([count, count])
    async with store.transaction(PROJECT) as tx:
        await tx.add_counts([count])
    pruned = await store.prune(PROJECT, T0 + MINUTE, hourly_before=T0 + HOUR)
    assert (pruned.counts, pruned.hourly) == (1, 1)


async def test_the_detectors_state_is_kept_byte_for_byte(store: Store) -> None:
    async with store.transaction(PROJECT) as tx:
        await tx.save_detector_state({"a": bytes(range(256)), "b": b""})
    async with store.transaction(PROJECT) as tx:
        await tx.save_detector_state({"b": b"\x00\x01"})
        assert await tx.detector_state() == {"a": bytes(range(256)), "b": b"\x00\x01"}


async def test_an_incident_is_read_back_as_it_was_saved_also_when_it_shrinks(store: Store) -> None:
    big = make_incident(
        problems=(make_problem(1), make_problem(2, samples=(make_sample(3),)), make_problem(3)),
        suppression=Suppression(reason="deploy", detail="v2 of db"),
        labels={"team": "core"},
        pinned=True,
        runbook="db-pool",
    )
    small = make_incident(problems=(make_problem(3, samples=(make_sample(9),)), make_problem(2, samples=())))
    for incident in (big, small, big):
        async with store.transaction(PROJECT) as tx:
            await tx.save_incident(incident)
        async with store.transaction(PROJECT) as tx:
            assert await tx.incident("i1") == incident


async def test_live_incidents_are_the_active_ones_and_those_that_ended_lately(store: Store) -> None:
    saved = [
        make_incident("open", opened_at=T0 + 1),
        make_incident("watched", status=Status.VERIFYING, opened_at=T0 + 2),
        make_incident("held", status=Status.SUPPRESSED, opened_at=T0 + 3),
        make_incident("late", status=Status.RESOLVED, ended_at=T0 + 100, opened_at=T0 + 4),
        make_incident("old", status=Status.CLOSED, ended_at=T0 + 99, opened_at=T0 + 5),
    ]
    async with store.transaction(PROJECT) as tx:
        for incident in saved:
            await tx.save_incident(incident)
    async with store.transaction("other") as tx:
        await tx.save_incident(make_incident("foreign", project="other"))
    async with store.transaction(PROJECT) as tx:
        found = await tx.live_incidents(T0 + 100)
    assert [incident.id for incident in found] == ["late", "held", "watched", "open"]
    assert found == [saved[3], saved[2], saved[1], saved[0]]


@pytest.mark.parametrize(
    "wrong",
    [
        {"status": Status.RESOLVED},
        {"status": Status.CLOSED},
        {"ended_at": T0},
        {"status": Status.VERIFYING, "ended_at": T0},
        {"count": -1},
        {"reopened": -1},
        {"problems": (make_problem(1, count=-1),)},
        {"problems": (make_problem(1), make_problem(1))},
        {"problems": (make_problem(1, project="other"),)},
        {"members": (Membership(problem_id="nowhere", why="?"),)},
        {"id": ""},
        {"project": "other"},
    ],
    ids=str,
)
async def test_a_state_that_cannot_be_is_refused(store: Store, wrong: dict[str, Any]) -> None:
    incident_id = wrong.get("id", "i1")
    with pytest.raises(StoreRefused):
        async with store.transaction(PROJECT) as tx:
            await tx.save_incident(make_incident(**{"id": incident_id} | wrong) if "id" not in wrong else
                                   make_incident("").model_copy(update=wrong))  # fmt: skip
    async with store.transaction(PROJECT) as tx:
        assert await tx.live_incidents(0) == []


async def test_nothing_hangs_on_an_incident_that_is_not_there(store: Store) -> None:
    async def refuses(write: Any) -> None:
        with pytest.raises(StoreRefused):
            async with store.transaction(PROJECT) as tx:
                await write(tx)

    async with store.transaction("other") as tx:
        await tx.save_incident(make_incident(project="other"))  # the same id, in another project
    await refuses(lambda tx: tx.save_evidence("i1", [make_evidence()]))
    await refuses(lambda tx: tx.save_analysis("i1", T0, make_analysis()))
    await refuses(lambda tx: tx.add_decision(make_decision()))
    await refuses(lambda tx: tx.add_action(make_action()))
    await refuses(lambda tx: tx.save_verification(make_verification()))
    await refuses(lambda tx: tx.add_event(make_event()))
    await refuses(lambda tx: tx.add_feedback(Feedback(incident_id="i1", at=T0, by="ann", verdict="noise")))


async def test_evidence_is_never_rewritten(store: Store) -> None:
    async with store.transaction(PROJECT) as tx:
        await tx.save_incident(make_incident())
        await tx.save_evidence("i1", [make_evidence(2), make_evidence(1, data={"n": [1, 2.5, None, "x"]})])
        await tx.save_evidence("i1", [make_evidence(1, text="other"), make_evidence(3)])
        found = await tx.evidence("i1")
    assert found == [make_evidence(2), make_evidence(1, data={"n": [1, 2.5, None, "x"]}), make_evidence(3)]


async def test_the_latest_analysis_is_the_one_of_the_latest_time(store: Store) -> None:
    async with store.transaction(PROJECT) as tx:
        await tx.save_incident(make_incident())
        assert await tx.latest_analysis("i1") is None
        await tx.save_analysis("i1", T0 + 5, make_analysis(cause="second"))
        await tx.save_analysis("i1", T0, make_analysis(cause="first"))
        assert await tx.latest_analysis("i1") == make_analysis(cause="second")
        await tx.save_analysis("i1", T0 + 5, make_analysis(cause="third"))
        assert await tx.latest_analysis("i1") == make_analysis(cause="third")


async def test_decisions_are_given_newest_first_with_all_they_rest_on(store: Store) -> None:
    first = make_decision("d1", at=T0)
    second = make_decision("d2", at=T0 + 5, policy={"mode": "shadow", "floors": [{"severity": "high"}]})
    third = make_decision("d3", at=T0 + 5)
    async with store.transaction(PROJECT) as tx:
        await tx.save_incident(make_incident())
        for decision in (first, second, third):
            await tx.add_decision(decision)
    async with store.transaction(PROJECT) as tx:
        assert await tx.decisions("i1") == [third, second, first]
        assert await tx.recent_decisions(T0 + 1) == [third, second]
        assert await tx.decisions("i2") == []
    with pytest.raises(StoreRefused):
        async with store.transaction(PROJECT) as tx:
            await tx.add_decision(first)


async def test_an_action_of_one_key_happens_once(store: Store) -> None:
    async with store.transaction(PROJECT) as tx:
        await tx.save_incident(make_incident())
        await tx.add_decision(make_decision())
        assert await tx.add_action(make_action())
        assert not await tx.add_action(make_action(payload={"title": "again"}))
    async with store.transaction(PROJECT) as tx:
        assert not await tx.add_action(make_action())
        assert await tx.add_action(make_action("enrich:i1:1", at=T0))
        assert [action.key for action in await tx.actions("i1")] == ["enrich:i1:1", "notify:i1:1"]
        assert (await tx.actions("i1"))[1] == make_action()


async def test_an_action_follows_from_a_decision_on_its_own_incident(store: Store) -> None:
    async with store.transaction(PROJECT) as tx:
        await tx.save_incident(make_incident())
        await tx.save_incident(make_incident("i2"))
        await tx.add_decision(make_decision("d1", "i1"))
    with pytest.raises(StoreRefused):
        async with store.transaction(PROJECT) as tx:
            await tx.add_action(make_action("x", "i2", decision_id="d1"))
    with pytest.raises(StoreRefused):
        async with store.transaction(PROJECT) as tx:
            await tx.add_action(make_action("x", state="perhaps"))


async def test_a_verification_is_open_until_it_has_an_outcome(store: Store) -> None:
    watch = make_verification()
    over = watch.model_copy(
        update={
            "checks": (Check(at=T0, count=3, note="still coming"), Check(at=T0 + 5, count=0, note="quiet")),
            "quiet_since": T0 + 5,
            "outcome": Outcome.RESOLVED,
            "ended_at": T0 + 9,
            "why": "quiet for 5 min",
        }
    )
    async with store.transaction(PROJECT) as tx:
        await tx.save_incident(make_incident())
        await tx.save_verification(watch)
        assert await tx.open_verifications() == [watch]
    async with store.transaction(PROJECT) as tx:
        await tx.save_verification(over)
        assert await tx.open_verifications() == []
        assert await tx.verifications("i1") == [over]
    for wrong in ({"ended_at": None}, {"outcome": None}):
        with pytest.raises(StoreRefused):
            async with store.transaction(PROJECT) as tx:
                await tx.save_verification(over.model_copy(update=wrong))


async def test_a_verification_stays_with_its_incident(store: Store) -> None:
    async with store.transaction(PROJECT) as tx:
        await tx.save_incident(make_incident())
        await tx.save_incident(make_incident("i2"))
        await tx.save_verification(make_verification())
    with pytest.raises(StoreRefused):
        async with store.transaction(PROJECT) as tx:
            await tx.save_verification(make_verification(incident_id="i2"))


async def test_a_service_was_first_seen_at_the_earliest_time_ever_told(store: Store) -> None:
    async with store.transaction(PROJECT) as tx:
        assert await tx.service_first_seen({"db": 50, "api": 60}) == {"db": 50, "api": 60}
        assert await tx.service_first_seen({"db": 40, "api": 70}) == {"db": 40, "api": 60}
    async with store.transaction("other") as tx:
        assert await tx.service_first_seen({}) == {}


async def test_pruning_removes_what_is_old_and_over_and_nothing_else(store: Store) -> None:
    over = make_incident("over", status=Status.RESOLVED, ended_at=T0)
    fresh = make_incident("fresh", status=Status.RESOLVED, ended_at=T0 + HOUR)
    async with store.transaction(PROJECT) as tx:
        for incident in (over, fresh, make_incident("open")):
            await tx.save_incident(incident)
        await tx.save_evidence("over", [make_evidence()])
        await tx.add_seen([("old", T0), ("new", T0 + HOUR)], 0)
        await tx.add_counts(
            SignatureCount(service="db", signature="a#1", level=Level.ERROR, bucket=at, count=1)
            for at in (T0, T0 + HOUR)
        )
        await tx.enqueue("loki", "sent", {}, T0)
        await tx.enqueue("loki", "waiting", {}, T0 + HOUR)
    (sent,) = await store.claim_outbox(T0, 10)
    await store.outbox_done(sent.id, T0)
    pruned = await store.prune(PROJECT, T0 + MINUTE)
    assert pruned.model_dump() == {"counts": 1, "hourly": 0, "seen": 1, "samples": 2, "outbox": 1, "quarantined": 0}
    assert (await store.prune(PROJECT, T0 + MINUTE)).model_dump() == dict.fromkeys(pruned.model_dump(), 0)
    async with store.transaction(PROJECT) as tx:
        stripped = over.model_copy(update={"problems": (make_problem(samples=()),)})
        assert await tx.incident("over") == stripped
        assert await tx.incident("fresh") == fresh
        assert await tx.incident("open") == make_incident("open")
        assert await tx.evidence("over") == [make_evidence()]
        assert await tx.seen(0) == {"new"}


async def test_every_term_of_the_vocabularies_can_be_stored(store: Store) -> None:
    async with store.transaction(PROJECT) as tx:
        for number, kind in enumerate(ProblemKind):
            await tx.save_incident(make_incident(f"k{number}", problems=(make_problem(kind=kind),)))
        for number, level in enumerate(Level):
            problem = make_problem(level=level, samples=(make_sample(level=level),))
            await tx.save_incident(make_incident(f"l{number}", problems=(problem,)))
            await tx.save_templates([make_template(f"t#{number}", level=level)])
        for status in Status:
            over = None if status.active else T0
            await tx.save_incident(make_incident(f"s-{status}", status=status, ended_at=over))
        for severity in Severity:
            await tx.save_incident(make_incident(f"v-{severity}", severity=severity))
        for outcome in Outcome:
            await tx.save_verification(make_verification(f"o-{outcome}", "k0", outcome=outcome, ended_at=T0))
        assert len(await tx.live_incidents(0)) == len(ProblemKind) + len(Level) + len(Status) + len(Severity)


async def test_nul_and_broken_unicode_become_visible_and_are_kept(store: Store) -> None:
    nasty = "a\x00b\ud800c"
    kept = "a\u2400b\ufffdc"
    async with store.transaction(PROJECT) as tx:
        await tx.set_cursor("q", 1)
        problem = make_problem(samples=(make_sample(line=nasty, message=nasty),), mentions=(nasty,), template=nasty)
        await tx.save_incident(make_incident(title=nasty, labels={nasty: nasty}, problems=(problem,)))
        await tx.save_evidence("i1", [make_evidence(text=nasty, data={nasty: [nasty, {"x": nasty}]})])
        await tx.add_event(make_event(text=nasty, data={"line": nasty}))
        await tx.save_templates([make_template(template=nasty)])
        await tx.enqueue("loki", "k", {"line": nasty}, T0)
    async with store.transaction(PROJECT) as tx:
        incident = await tx.incident("i1")
        assert incident is not None
        assert incident.title == kept
        assert incident.labels == {kept: kept}
        assert incident.problems[0].mentions == (kept,)
        assert incident.problems[0].samples[0].line == kept
        assert (await tx.evidence("i1"))[0].data == {kept: [kept, {"x": kept}]}
        assert (await tx.events("i1"))[0].text == kept
        assert (await tx.templates())[0].template == kept
    assert (await store.claim_outbox(T0, 1))[0].payload == {"line": kept}
