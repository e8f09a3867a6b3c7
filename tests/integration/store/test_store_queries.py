"""The reading side: lists, pages, details and figures over PostgreSQL."""

from __future__ import annotations

import random
from collections import Counter
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
    make_template,
    make_verification,
)
from incidentlens.model.clock import DAY, HOUR, MINUTE, SECOND
from incidentlens.model.decisions import Deploy, Feedback, Maintenance
from incidentlens.model.incidents import Incident, Suppression
from incidentlens.model.signatures import SignatureCount
from incidentlens.model.terms import ActionKind, Disposition, Level, Outcome, Severity, Status
from incidentlens.store.paging import BadPage, Page
from incidentlens.store.postgres import PostgresStore
from incidentlens.store.queries import IncidentFilter, IncidentRow, IncidentSort, SignatureSort

OVER = (Status.RESOLVED, Status.CLOSED, Status.IGNORED)
DAY0 = T0 - T0 % DAY


def some_incidents(number: int, seed: int = 7) -> list[Incident]:
    """Incidents of every kind, with many ties in what lists are sorted by."""
    chance = random.Random(seed)
    found = []
    for index in range(number):
        status = chance.choice(list(Status))
        opened = T0 + chance.randrange(20) * HOUR
        problems = tuple(
            make_problem(kind, service=service, signature=f"{service}:ERROR:trouble_{kind}#{kind:04x}")
            for service, kind in {(chance.choice(("db", "api", "web")), chance.randrange(4)) for _ in range(2)}
        )
        problems = tuple(problem.model_copy(update={"id": f"p{position}"}) for position, problem in enumerate(problems))
        found.append(
            make_incident(
                f"i{index:03}",
                title=chance.choice(("Lift stuck", "Gateway timeout", "Überlauf im Lager")),
                status=status,
                severity=chance.choice(list(Severity)),
                disposition=chance.choice(list(Disposition)),
                onset=opened - chance.randrange(1, 60) * SECOND,
                opened_at=opened,
                last_seen=opened + chance.randrange(3) * HOUR,
                ended_at=opened + chance.randrange(1, 5) * HOUR if status in OVER else None,
                count=chance.randrange(5),
                reopened=chance.randrange(2),
                runbook=chance.choice((None, "db-pool", "gateway")),
                suppression=Suppression(reason="deploy", detail="v2") if status is Status.SUPPRESSED else None,
                problems=problems,
            )
        )
    return found


async def save(store: PostgresStore, incidents: list[Incident]) -> None:
    async with store.transaction(PROJECT) as tx:
        for incident in incidents:
            await tx.save_incident(incident)


async def walk(store: PostgresStore, limit: int, **asked: Any) -> list[IncidentRow]:
    """All pages of a list, one after the other."""
    rows: list[IncidentRow] = []
    cursor = None
    while True:
        page: Page[IncidentRow] = await store.queries.list_incidents(PROJECT, limit=limit, cursor=cursor, **asked)
        assert len(page.items) <= limit
        rows.extend(page.items)
        if page.next_cursor is None:
            return rows
        assert len(page.items) == limit
        cursor = page.next_cursor


@pytest.mark.parametrize("sort", IncidentSort)
@pytest.mark.parametrize("descending", [True, False])
async def test_pages_give_every_incident_once_and_in_order(
    postgres_store: PostgresStore, sort: IncidentSort, descending: bool
) -> None:
    incidents = some_incidents(40)
    await save(postgres_store, incidents)
    keys = {
        IncidentSort.LAST_SEEN: lambda row: (row.last_seen, row.id),
        IncidentSort.OPENED_AT: lambda row: (row.opened_at, row.id),
        IncidentSort.SEVERITY: lambda row: (row.severity.rank, row.last_seen, row.id),
        IncidentSort.COUNT: lambda row: (row.count, row.id),
    }
    wanted = [incident.id for incident in sorted(incidents, key=keys[sort], reverse=descending)]
    for limit in (1, 7, 40, 41):
        assert [row.id for row in await walk(postgres_store, limit, sort=sort, descending=descending)] == wanted


@pytest.mark.parametrize(
    ("where", "fits"),
    [
        ({"status": (Status.OPEN, Status.CLOSED)}, lambda i: i.status in (Status.OPEN, Status.CLOSED)),
        ({"severity": (Severity.CRITICAL,)}, lambda i: i.severity is Severity.CRITICAL),
        ({"disposition": (Disposition.OBSERVE,)}, lambda i: i.disposition is Disposition.OBSERVE),
        ({"service": "web"}, lambda i: "web" in i.services),
        ({"signature": "db:ERROR:trouble_1#0001"}, lambda i: "db:ERROR:trouble_1#0001" in i.signatures),
        ({"runbook": "gateway"}, lambda i: i.runbook == "gateway"),
        (
            {"since": T0 + 5 * HOUR, "until": T0 + 9 * HOUR},
            lambda i: T0 + 5 * HOUR <= i.last_seen < T0 + 9 * HOUR,
        ),
        ({"text": "stu LIFT"}, lambda i: i.title == "Lift stuck"),
        ({"text": "überlauf lager"}, lambda i: i.title.startswith("Über")),
        ({"text": "i007"}, lambda i: i.id == "i007"),
        ({"text": "pool' & !x:*"}, lambda i: False),
        ({"text": "  --  "}, lambda i: False),
        (
            {"status": OVER, "service": "db", "text": "timeout"},
            lambda i: i.status in OVER and "db" in i.services and "timeout" in i.title,
        ),
        ({"service": "nowhere"}, lambda i: False),
    ],
    # A predicate would name its test by its address, which differs between processes.
    ids=lambda value: "" if callable(value) else str(value),
)
async def test_a_filter_gives_just_what_fulfils_it(postgres_store: PostgresStore, where: Any, fits: Any) -> None:
    incidents = some_incidents(60)
    await save(postgres_store, incidents)
    found = await walk(postgres_store, 9, where=IncidentFilter(**where))
    assert {row.id for row in found} == {incident.id for incident in incidents if fits(incident)}


async def test_a_row_says_what_the_incident_says(postgres_store: PostgresStore) -> None:
    incident = some_incidents(1)[0]
    await save(postgres_store, [incident])
    (row,) = (await postgres_store.queries.list_incidents(PROJECT)).items
    for name in set(IncidentRow.model_fields) & set(Incident.model_fields):
        assert getattr(row, name) == getattr(incident, name), name
    assert row.services == incident.services
    assert row.signatures == incident.signatures


async def test_a_row_inserted_between_two_pages_shifts_nothing(postgres_store: PostgresStore) -> None:
    await save(postgres_store, [make_incident(f"i{n}", last_seen=T0 + n) for n in range(4)])
    first = await postgres_store.queries.list_incidents(PROJECT, limit=2)
    await save(postgres_store, [make_incident("new", last_seen=T0 + 100)])
    second = await postgres_store.queries.list_incidents(PROJECT, limit=2, cursor=first.next_cursor)
    assert [row.id for row in (*first.items, *second.items)] == ["i3", "i2", "i1", "i0"]


@pytest.mark.parametrize("cursor", ["", "x", "ä", "====", "bnVsbA", "WzFd", "a" * 10_000])
async def test_a_cursor_that_is_none_of_ours_is_refused(postgres_store: PostgresStore, cursor: str) -> None:
    with pytest.raises(BadPage, match="cursor"):
        await postgres_store.queries.list_incidents(PROJECT, cursor=cursor)


async def test_a_cursor_of_another_list_is_refused(postgres_store: PostgresStore) -> None:
    await save(postgres_store, some_incidents(3))
    cursor = (await postgres_store.queries.list_incidents(PROJECT, limit=1)).next_cursor
    for asked in ({"where": IncidentFilter(service="db")}, {"sort": IncidentSort.COUNT}, {"descending": False}):
        with pytest.raises(BadPage, match="another list"):
            await postgres_store.queries.list_incidents(PROJECT, cursor=cursor, **asked)  # type: ignore[arg-type]
    with pytest.raises(BadPage, match="another list"):
        await postgres_store.queries.list_incidents("other", cursor=cursor)
    for limit in (0, -1, 501):
        with pytest.raises(BadPage, match="limit"):
            await postgres_store.queries.list_incidents(PROJECT, limit=limit)


async def test_nothing_is_read_across_projects(postgres_store: PostgresStore) -> None:
    queries = postgres_store.queries
    async with postgres_store.transaction(PROJECT) as tx:
        await tx.save_incident(make_incident(runbook="db-pool"))
        await tx.add_decision(make_decision())
        await tx.add_action(make_action())
        await tx.add_event(make_event())
        await tx.save_templates([make_template()])
        await tx.add_deploy(Deploy(id="v1", project=PROJECT, service="db", at=T0))
        await tx.add_maintenance(Maintenance(id="m1", project=PROJECT, starts_at=T0, ends_at=T0 + 1))
        await tx.service_first_seen({"db": T0})
        await tx.enqueue("loki", "k", {}, T0)
    for project, held in ((PROJECT, 1), ("other", 0)):
        assert len((await queries.list_incidents(project)).items) == held
        assert (await queries.incident_detail(project, "i1") is not None) == bool(held)
        assert len((await queries.list_signatures(project, now=T0)).items) == held
        assert len(await queries.templates(project, [make_template().signature])) == held
        assert len(await queries.runbook_stats(project, since=0)) == held
        assert (await queries.stats(project, since=T0, until=T0 + DAY, bucket=DAY)).opened == held
        assert len((await queries.list_actions(project)).items) == held
        assert len((await queries.list_events(project)).items) == held
        assert len((await queries.list_deploys(project)).items) == held
        assert len((await queries.list_maintenance(project)).items) == held
        assert len(await queries.services(project)) == held
        assert (await queries.outbox_state(project)).waiting == held


async def test_the_detail_of_an_incident_has_all_that_hangs_on_it(postgres_store: PostgresStore) -> None:
    twin = make_incident("twin", problems=(make_problem(), make_problem(2)), last_seen=T0)
    stranger = make_incident("stranger", problems=(make_problem(9),))
    feedback = Feedback(incident_id="i1", at=T0, by="ann", verdict="helped")
    over = make_verification(outcome=Outcome.RESOLVED, ended_at=T0 + HOUR)
    async with postgres_store.transaction(PROJECT) as tx:
        for incident in (make_incident(), twin, stranger):
            await tx.save_incident(incident)
        await tx.save_evidence("i1", [make_evidence(2), make_evidence(1)])
        await tx.save_analysis("i1", T0 + 5, make_analysis())
        await tx.add_decision(make_decision())
        await tx.add_action(make_action())
        await tx.save_verification(over)
        for number in range(510):
            await tx.add_event(make_event("problem_joined", at=T0 + number))
        await tx.add_feedback(feedback)
    detail = await postgres_store.queries.incident_detail(PROJECT, "i1")
    assert detail is not None
    assert detail.incident == make_incident()
    assert detail.outcome is Outcome.RESOLVED
    assert detail.evidence == (make_evidence(2), make_evidence(1))
    assert (detail.analysis, detail.analysed_at) == (make_analysis(), T0 + 5)
    assert detail.decisions == (make_decision(),)
    assert detail.actions == (make_action(),)
    assert detail.verifications == (over,)
    assert detail.feedback == (feedback,)
    assert detail.cut == {"events": 10}
    assert [event.at for event in detail.events] == [T0 + number for number in range(10, 510)]
    assert await postgres_store.queries.incident_detail(PROJECT, "nowhere") is None
    assert [past.id for past in await postgres_store.queries.past_incidents(detail.incident)] == ["stranger", "twin"]


async def test_signatures_are_listed_by_count_by_age_and_by_growth(postgres_store: PostgresStore) -> None:
    now = T0 - T0 % HOUR + 30 * MINUTE
    hour = now - now % HOUR

    def counts(signature: str, back: int, count: int) -> SignatureCount:
        return SignatureCount(
            service="db", signature=signature, level=Level.ERROR, bucket=hour - back * HOUR, count=count
        )

    async with postgres_store.transaction(PROJECT) as tx:
        await tx.save_templates(
            [
                make_template("steady#1", count=900, first_seen=T0 - 3 * DAY),
                make_template("rising#2", count=50, first_seen=T0 - 2 * DAY, label="Checkout fails"),
                make_template("fresh#3", count=5, first_seen=T0 - 1 * DAY, level=Level.WARN),
            ]
        )
        await tx.add_counts([counts("steady#1", back, 30) for back in range(25)])
        await tx.add_counts([counts("rising#2", 0, 40), counts("rising#2", 5, 24), counts("fresh#3", 0, 5)])

    async def listed(**asked: Any) -> list[str]:
        names: list[str] = []
        cursor = None
        while True:
            page = await postgres_store.queries.list_signatures(PROJECT, now=now, limit=1, cursor=cursor, **asked)
            names += [row.signature for row in page.items]
            if (cursor := page.next_cursor) is None:
                return names

    assert await listed() == ["steady#1", "rising#2", "fresh#3"]
    assert await listed(sort=SignatureSort.NEW) == ["fresh#3", "rising#2", "steady#1"]
    assert (await listed(sort=SignatureSort.GROWING))[:2] == ["rising#2", "fresh#3"]
    assert await listed(level=Level.WARN) == ["fresh#3"]
    assert await listed(text="check") == ["rising#2"]
    assert await listed(service="db", sort=SignatureSort.NEW) == ["fresh#3", "rising#2", "steady#1"]
    assert await listed(service="api") == []
    steady = (await postgres_store.queries.list_signatures(PROJECT, now=now)).items[0]
    assert steady.spark == (30,) * 24
    assert steady.recent == 45  # the begun half hour's 30, and half of the hour before
    assert steady.expected == pytest.approx(30)


@pytest.mark.parametrize("known", [20 * MINUTE, 100 * MINUTE, 9 * HOUR, 40 * HOUR])
@pytest.mark.parametrize("past_the_hour", [0, 5, 55])
async def test_what_comes_as_often_as_ever_does_not_grow_however_short_a_project_is_known(
    postgres_store: PostgresStore, known: int, past_the_hour: int
) -> None:
    now = T0 - T0 % HOUR + past_the_hour * MINUTE
    begun = (now - known) // MINUTE

    def counts(signature: str, since: int, a_minute: int) -> list[SignatureCount]:
        return [
            SignatureCount(service="db", signature=signature, level=Level.INFO, bucket=minute * MINUTE, count=a_minute)
            for minute in range(since, now // MINUTE)
        ]

    async with postgres_store.transaction(PROJECT) as tx:
        await tx.save_templates([make_template("steady#1", first_seen=begun * MINUTE)])
        await tx.save_templates([make_template("fails#2", first_seen=now - 4 * MINUTE)])
        await tx.add_counts(counts("steady#1", begun, 30))
        await tx.add_counts(counts("fails#2", now // MINUTE - 4, 10))

    growing = (await postgres_store.queries.list_signatures(PROJECT, now=now, sort=SignatureSort.GROWING)).items
    assert [row.signature for row in growing] == ["fails#2"]
    assert (growing[0].recent, growing[0].expected) == (40, 0)
    rows = (await postgres_store.queries.list_signatures(PROJECT, now=now)).items
    steady = next(row for row in rows if row.signature == "steady#1")
    assert steady.recent == min(known, HOUR) // MINUTE * 30
    assert steady.expected == pytest.approx(steady.recent, rel=0.02)


async def test_in_the_first_minute_nothing_grows(postgres_store: PostgresStore) -> None:
    now = T0 - T0 % MINUTE + 30 * SECOND
    bucket = now - now % MINUTE
    async with postgres_store.transaction(PROJECT) as tx:
        await tx.save_templates([make_template("first#1", first_seen=now - 20 * SECOND)])
        await tx.add_counts(
            [SignatureCount(service="db", signature="first#1", level=Level.INFO, bucket=bucket, count=9)]
        )
    assert (await postgres_store.queries.list_signatures(PROJECT, now=now, sort=SignatureSort.GROWING)).items == ()
    (row,) = (await postgres_store.queries.list_signatures(PROJECT, now=now)).items
    assert (row.recent, row.expected) == (9, 9)


async def test_the_detail_of_a_signature_counts_its_aliases_too(postgres_store: PostgresStore) -> None:
    old, alias = make_template("old#1"), make_template("young#2", alias_of="old#1")
    async with postgres_store.transaction(PROJECT) as tx:
        await tx.save_templates([old, alias])
        for signature, service, bucket, count in (
            ("old#1", "db", DAY0, 2), ("old#1", "db", DAY0 + MINUTE, 3), ("young#2", "api", DAY0 + HOUR, 7),
            ("old#1", "db", DAY0 + DAY, 100),
        ):  # fmt: skip
            await tx.add_counts(
                [SignatureCount(service=service, signature=signature, level=Level.ERROR, bucket=bucket, count=count)]
            )
        await tx.save_incident(make_incident(problems=(make_problem(signature="young#2"),)))
    for bucket, series in (
        (MINUTE, [(DAY0, 2), (DAY0 + MINUTE, 3), (DAY0 + HOUR, 7)]),
        (HOUR, [(DAY0, 5), (DAY0 + HOUR, 7)]),
    ):
        detail = await postgres_store.queries.signature_detail(
            PROJECT, "old#1", since=DAY0, until=DAY0 + DAY, bucket=bucket
        )
        assert detail is not None
        assert [(point.at, point.count) for point in detail.series] == series
        assert [(entry.service, entry.count) for entry in detail.services] == [("api", 7), ("db", 5)]
        assert detail.aliases == (alias,)
        assert [row.id for row in detail.incidents] == ["i1"]
    assert await postgres_store.queries.templates(PROJECT, ["young#2", "nowhere"]) == {"young#2": old}
    assert await postgres_store.queries.signature_detail(PROJECT, "x", since=0, until=HOUR, bucket=HOUR) is None
    with pytest.raises(BadPage):
        await postgres_store.queries.signature_detail(PROJECT, "old#1", since=0, until=T0, bucket=MINUTE)


async def test_an_old_name_leads_to_the_new_one_over_several_merges(postgres_store: PostgresStore) -> None:
    newest = make_template("newest#3")
    newer, old = make_template("newer#2", alias_of="newest#3"), make_template("old#1", alias_of="newer#2")
    async with postgres_store.transaction(PROJECT) as tx:
        await tx.save_templates([newest, newer, old])
        await tx.add_counts(
            [SignatureCount(service="db", signature="old#1", level=Level.ERROR, bucket=DAY0, count=4)],
        )
    for name in ("old#1", "newer#2", "newest#3"):
        detail = await postgres_store.queries.signature_detail(PROJECT, name, since=DAY0, until=DAY0 + DAY, bucket=HOUR)
        assert detail is not None
        assert detail.template == newest
        assert {alias.signature for alias in detail.aliases} == {"old#1", "newer#2"}
        assert [point.count for point in detail.series] == [4]
    found = await postgres_store.queries.templates(PROJECT, ["old#1", "newer#2", "newest#3"])
    assert found == {"old#1": newest, "newer#2": newest, "newest#3": newest}


async def test_figures_are_the_sums_of_the_incidents_however_often_they_changed(postgres_store: PostgresStore) -> None:
    incidents = some_incidents(60)
    await save(postgres_store, some_incidents(60, seed=8))  # other states of the same incidents first
    await save(postgres_store, incidents)
    chance = random.Random(3)
    outcomes: dict[str, Outcome] = {}
    async with postgres_store.transaction(PROJECT) as tx:
        for incident in incidents[::2]:
            for attempt in range(2):
                outcomes[incident.id] = chance.choice(list(Outcome))
                await tx.save_verification(
                    make_verification(
                        f"v{incident.id}{attempt}",
                        incident.id,
                        outcome=outcomes[incident.id],
                        ended_at=T0 + attempt,
                    )
                )
        for incident in incidents[:10]:
            await tx.add_decision(make_decision(f"d{incident.id}", incident.id))
            for state in ("done", "digest"):
                await tx.add_action(
                    make_action(f"{state}{incident.id}", incident.id, decision_id=f"d{incident.id}", state=state)
                )
    since, until = DAY0, DAY0 + 3 * DAY
    assert all(since <= incident.opened_at < until for incident in incidents)
    resolved = [i.ended_at - i.opened_at for i in incidents if i.status in (Status.RESOLVED, Status.CLOSED)]
    detected = sorted(i.opened_at - i.onset for i in incidents)
    for bucket in (DAY, HOUR, 30 * MINUTE):
        # From tallies a day, from tallies an hour, and from the incidents themselves.
        stats = await postgres_store.queries.stats(PROJECT, since=since + 5, until=until - 5, bucket=bucket)
        assert (stats.since, stats.until) == (since, until)
        assert stats.opened == 60
        assert stats.by_status == Counter(incident.status for incident in incidents)
        assert stats.by_severity == Counter(incident.severity for incident in incidents)
        assert stats.by_disposition == Counter(incident.disposition for incident in incidents)
        assert stats.outcomes == Counter(outcomes.values())
        assert stats.resolution_rate == Counter(outcomes.values())[Outcome.RESOLVED] / 30
        assert stats.open_now == sum(incident.status.active for incident in incidents)
        assert stats.suppressed == sum(incident.suppression is not None for incident in incidents)
        assert stats.suppression_rate == stats.suppressed / 60
        assert stats.notified == 10
        assert stats.time_to_detect.count == 60
        assert stats.time_to_detect.mean == pytest.approx(sum(detected) / 60)
        assert stats.time_to_detect.median == pytest.approx(detected[29], rel=0.05)
        assert stats.time_to_detect.p95 == pytest.approx(detected[56], rel=0.05)
        assert stats.time_to_resolve.count == len(resolved)
        assert stats.time_to_resolve.mean == pytest.approx(sum(resolved) / len(resolved))
        assert [slot.at for slot in stats.series] == list(range(since, until, bucket))
        for slot in stats.series:
            opened = [i for i in incidents if slot.at <= i.opened_at < slot.at + bucket]
            assert slot.opened == len(opened)
            assert slot.by_severity == Counter(incident.severity for incident in opened)


async def test_figures_of_nothing_are_none_and_not_an_error(postgres_store: PostgresStore) -> None:
    stats = await postgres_store.queries.stats(PROJECT, since=DAY0, until=DAY0 + DAY, bucket=HOUR)
    assert (stats.opened, stats.suppression_rate, stats.resolution_rate) == (0, None, None)
    assert stats.time_to_detect.mean is None
    assert len(stats.series) == 24
    for since, until, bucket in ((0, T0, HOUR), (T0, T0, HOUR), (0, HOUR, SECOND)):
        with pytest.raises(BadPage):
            await postgres_store.queries.stats(PROJECT, since=since, until=until, bucket=bucket)


async def test_a_runbooks_figures_say_what_became_of_its_incidents(postgres_store: PostgresStore) -> None:
    incidents = [i for i in some_incidents(60) if i.opened_at >= DAY0]
    await save(postgres_store, incidents)
    async with postgres_store.transaction(PROJECT) as tx:
        matched = next(i for i in incidents if i.runbook == "gateway")
        await tx.add_feedback(Feedback(incident_id=matched.id, at=T0, by="ann", verdict="noise"))
        await tx.save_verification(make_verification(incident_id=matched.id, outcome=Outcome.RE_ESCALATED, ended_at=T0))
    found = {entry.runbook: entry for entry in await postgres_store.queries.runbook_stats(PROJECT, since=DAY0)}
    assert set(found) == {"gateway", "db-pool"}
    for runbook, stats in found.items():
        mine = [incident for incident in incidents if incident.runbook == runbook]
        assert stats.matches == len(mine)
        assert stats.last_match == max(incident.opened_at for incident in mine)
        assert stats.dispositions == Counter(incident.disposition for incident in mine)
        assert stats.statuses == Counter(incident.status for incident in mine)
        assert stats.reopened == sum(incident.reopened > 0 for incident in mine)
    assert found["gateway"].feedback == {"noise": 1}
    assert found["gateway"].outcomes == {Outcome.RE_ESCALATED: 1}
    assert found["db-pool"].outcomes == {}


async def test_actions_events_deploys_and_windows_come_in_pages_newest_first(postgres_store: PostgresStore) -> None:
    queries = postgres_store.queries
    async with postgres_store.transaction(PROJECT) as tx:
        await tx.save_incident(make_incident())
        await tx.add_decision(make_decision())
        for number in range(7):
            kind = ActionKind.NOTIFY if number % 2 else ActionKind.ENRICH
            await tx.add_action(make_action(f"a{number}", kind=kind, at=T0 + number // 2))
            await tx.add_event(make_event(f"e{number}", at=T0 + number // 2))
            await tx.add_deploy(Deploy(id=f"v{number}", project=PROJECT, service="db", at=T0 + number // 2))
            await tx.add_maintenance(
                Maintenance(id=f"m{number}", project=PROJECT, starts_at=T0 + number // 2, ends_at=T0 + number)
            )

    async def walked(call: Any, name: Any, **asked: Any) -> list[str]:
        found: list[str] = []
        cursor = None
        while True:
            page = await call(PROJECT, limit=2, cursor=cursor, **asked)
            found += [name(item) for item in page.items]
            if (cursor := page.next_cursor) is None:
                return found

    down = list(range(6, -1, -1))
    assert await walked(queries.list_actions, lambda row: row.action.key) == [f"a{n}" for n in down]
    assert await walked(queries.list_actions, lambda row: row.action.key, kind=ActionKind.NOTIFY) == ["a5", "a3", "a1"]
    assert await walked(queries.list_actions, lambda row: row.title, state="failed") == []
    assert await walked(queries.list_events, lambda event: event.kind) == [f"e{n}" for n in down]
    assert await walked(queries.list_events, lambda event: event.kind, since=T0 + 3) == ["e6"]
    assert await walked(queries.list_deploys, lambda deploy: deploy.id) == [f"v{n}" for n in down]
    assert await walked(queries.list_deploys, lambda deploy: deploy.id, service="api") == []
    assert await walked(queries.list_maintenance, lambda window: window.id) == [f"m{n}" for n in down]
    assert await walked(queries.list_maintenance, lambda window: window.id, now=T0 + 4) == ["m6", "m5"]


async def test_the_outbox_says_what_waits_and_what_was_given_up(postgres_store: PostgresStore) -> None:
    async with postgres_store.transaction(PROJECT) as tx:
        for number in range(3):
            await tx.enqueue("loki", str(number), {}, T0 + number)
    first, second, _ = await postgres_store.claim_outbox(T0 + 9, 10)
    await postgres_store.outbox_done(first.id, T0 + 9)
    await postgres_store.outbox_failed(second.id, T0 + 9, "400", None)
    state = await postgres_store.queries.outbox_state(PROJECT)
    assert (state.waiting, state.oldest, state.given_up, state.last_error) == (1, T0 + 2, 1, "400")


async def test_hostile_text_in_a_filter_finds_nothing_and_breaks_nothing(postgres_store: PostgresStore) -> None:
    queries = postgres_store.queries
    await save(postgres_store, some_incidents(3))
    for text in ("\x00", "\ud800", "'; DROP TABLE incidents; --", "%s", "\\", "x" * 100_000):
        where = IncidentFilter(text=text, service=text, signature=text, runbook=text)
        assert (await queries.list_incidents(PROJECT, where)).items == ()
        assert await queries.incident_detail(PROJECT, text) is None
        assert (await queries.list_signatures(text, now=T0, text=text, service=text, family=text)).items == ()
        assert await queries.signature_detail(PROJECT, text, since=0, until=HOUR, bucket=HOUR) is None
        assert (await queries.list_deploys(PROJECT, service=text)).items == ()
        assert (await queries.list_actions(PROJECT, state=text)).items == ()
        assert await queries.templates(PROJECT, [text]) == {}
    assert len((await queries.list_incidents(PROJECT)).items) == 3
