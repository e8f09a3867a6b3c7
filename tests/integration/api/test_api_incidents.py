from __future__ import annotations

import httpx

from api_app import Api
from builders import T0, make_decision, make_problem, make_verification
from incidentlens.model.clock import HOUR, MINUTE, SECOND
from incidentlens.model.terms import Mode, Severity, Status
from incidents_in_store import PAY, POOL, put, two_problems

PARTS = ("evidence", "actions", "investigation", "timeline", "verification", "decisions", "report")


async def ids(client: httpx.AsyncClient, **params: object) -> list[str]:
    answer = await client.get("/api/incidents", params=params)  # type: ignore[arg-type]
    assert answer.status_code == 200, answer.text
    return [item["id"] for item in answer.json()["items"]]


async def test_an_incident_is_listed_and_given_with_all_its_parts(api: Api, viewer: httpx.AsyncClient) -> None:
    await put(api.store)
    assert await ids(viewer) == ["i1"]
    whole = (await viewer.get("/api/incidents/i1")).json()
    assert whole["incident"]["root_cause"]["chain"][0]["service"] == "db"
    evidence = (await viewer.get("/api/incidents/i1/evidence")).json()
    assert evidence["items"][0]["text"] == "ERROR connection pool exhausted (1)"
    assert (await viewer.get("/api/incidents/i1/actions")).json()["items"][0]["kind"] == "notify"
    assert (await viewer.get("/api/incidents/i1/investigation")).json()["analysis"]["claims"][0]["evidence"]
    assert [e["kind"] for e in (await viewer.get("/api/incidents/i1/timeline")).json()["items"]] == [
        "opened",
        "decided",
    ]
    assert (await viewer.get("/api/incidents/i1/verification")).json()["items"][0]["checks"][0]["count"] == 12


async def test_the_decisions_say_why_nobody_was_told(api: Api, viewer: httpx.AsyncClient) -> None:
    await put(api.store)
    told = (await viewer.get("/api/incidents/i1/decisions")).json()
    assert told["why_nobody_was_told"] is None
    await put(api.store, "i2", problems=(make_problem(3),), root_cause=None)
    async with api.store.transaction("shop") as tx:
        await tx.save_incident((await tx.incident("i2")).model_copy(update={"id": "i3"}))  # type: ignore[union-attr]
        await tx.add_decision(make_decision("d3", "i3", mode=Mode.SHADOW))
    shadow = (await viewer.get("/api/incidents/i3/decisions")).json()
    assert "mode shadow" in shadow["why_nobody_was_told"]
    assert shadow["explanation"].startswith("Why was nobody told?")


async def test_the_report_is_markdown(api: Api, viewer: httpx.AsyncClient) -> None:
    await put(api.store)
    answer = await viewer.get("/api/incidents/i1/report")
    assert answer.headers["content-type"] == "text/markdown; charset=utf-8"
    assert answer.text.startswith("# Connection pool exhausted in db")


async def test_every_filter_narrows_the_list(api: Api, viewer: httpx.AsyncClient) -> None:
    await put(api.store)
    await put(
        api.store,
        "i2",
        title="Disk full",
        status=Status.RESOLVED,
        ended_at=T0 + HOUR,
        severity=Severity.LOW,
        disposition="OBSERVE",
        runbook=None,
        root_cause=None,
        last_seen=T0 + HOUR,
        problems=(make_problem(9, service="disk", signature="infra:ERROR:disk#9", last_seen=T0 + HOUR),),
    )
    assert await ids(viewer, status="resolved,closed") == ["i2"]
    assert await ids(viewer, severity=["high", "critical"]) == ["i1"]
    assert await ids(viewer, disposition="observe") == ["i2"]
    assert await ids(viewer, service="payment") == ["i1"]
    assert await ids(viewer, signature=POOL) == ["i1"]
    assert await ids(viewer, runbook="db-pool-exhausted") == ["i1"]
    assert await ids(viewer, q="disk fu") == ["i2"]
    assert await ids(viewer, since=T0 + 30 * MINUTE) == ["i2"]
    assert await ids(viewer, until=T0 + 30 * MINUTE) == ["i1"]
    assert await ids(viewer, sort="severity") == ["i1", "i2"]
    assert await ids(viewer, sort="severity", order="asc") == ["i2", "i1"]


async def test_pages_follow_each_other_without_a_gap_or_a_double(api: Api, viewer: httpx.AsyncClient) -> None:
    for number in range(7):
        await put(api.store, f"i{number}", last_seen=T0 + number * SECOND)
    found: list[str] = []
    cursor = None
    while True:
        page = (
            await viewer.get("/api/incidents", params={"limit": 3, **({"cursor": cursor} if cursor else {})})
        ).json()
        found += [item["id"] for item in page["items"]]
        if not (cursor := page["next_cursor"]):
            break
    assert found == [f"i{number}" for number in reversed(range(7))]


async def test_a_wrong_query_is_one_sentence_that_says_what_is_allowed(viewer: httpx.AsyncClient) -> None:
    for query, said in (
        ("limit=501", "limit"),
        ("limit=0", "limit"),
        ("status=opne", "allowed: open"),
        ("since=yesterday", "since"),
        ("cursor=nonsense", "cursor"),
        ("sort=beauty", "allowed: last_seen"),
        ("order=up", "order"),
        (f"q={'x' * 301}", "q"),
    ):
        answer = await viewer.get(f"/api/incidents?{query}")
        assert answer.status_code in (400, 422), query
        assert set(answer.json()) == {"error"}
        assert said in answer.json()["error"]


async def test_an_incident_that_is_not_there_is_404(viewer: httpx.AsyncClient) -> None:
    for part in ("", *PARTS):
        answer = await viewer.get(f"/api/incidents/nothing/{part}".rstrip("/"))
        assert answer.status_code == 404, part
        assert "there is no incident 'nothing' in project shop" in answer.json()["error"]


async def test_a_person_closes_ignores_and_reopens(api: Api, editor: httpx.AsyncClient) -> None:
    await put(api.store)
    closed = await editor.post("/api/incidents/i1/close", json={"text": "rolled back", "by": "Ann Lee"})
    assert closed.json()["status"] == "closed"
    watch = (await editor.get("/api/incidents/i1/verification")).json()["items"][0]
    assert watch["outcome"] == "inconclusive"
    assert (await editor.post("/api/incidents/i1/reopen")).json()["status"] == "open"
    again = await editor.post("/api/incidents/i1/reopen")
    assert again.status_code == 409
    assert (await editor.post("/api/incidents/i1/ignore", json={})).json()["status"] == "ignored"
    events = (await editor.get("/api/incidents/i1/timeline")).json()["items"]
    said = {event["kind"]: event for event in events}
    assert said["closed"]["text"] == "closed by Ann Lee (ann): rolled back"
    assert said["reopened"]["by"] == "ann"


async def test_feedback_is_kept(api: Api, editor: httpx.AsyncClient) -> None:
    await put(api.store)
    body = {"verdict": "wrong_cause", "service": "network", "text": "it was the switch"}
    assert (await editor.post("/api/incidents/i1/feedback", json=body)).status_code == 201
    kept = (await editor.get("/api/incidents/i1")).json()["feedback"][0]
    assert (kept["verdict"], kept["service"], kept["by"]) == ("wrong_cause", "network", "ann")
    assert (await editor.post("/api/incidents/i1/feedback", json={"verdict": "great"})).status_code == 422
    assert (await editor.post("/api/incidents/none/feedback", json={"verdict": "noise"})).status_code == 404


async def test_two_incidents_are_merged_with_their_evidence(api: Api, editor: httpx.AsyncClient) -> None:
    pool, pay = two_problems()
    await put(api.store, "a", problems=(pool,), root_cause=None)
    await put(api.store, "b", problems=(pay,), root_cause=None)
    merged = (await editor.post("/api/incidents/a/merge", json={"other": "b"})).json()
    assert {problem["signature"] for problem in merged["problems"]} == {POOL, PAY}
    assert merged["pinned"]
    gone = (await editor.get("/api/incidents/b")).json()
    assert gone["incident"]["status"] == "closed"
    assert gone["verifications"][0]["outcome"] == "inconclusive"
    assert (await editor.post("/api/incidents/a/merge", json={"other": "a"})).status_code == 409
    assert (await editor.post("/api/incidents/a/merge", json={"other": "zzz"})).status_code == 404


async def test_an_incident_is_split_and_its_records_go_along(api: Api, editor: httpx.AsyncClient) -> None:
    await put(api.store)
    parts = (await editor.post("/api/incidents/i1/split", json={"problems": ["p2"]})).json()
    assert [problem["id"] for problem in parts["kept"]["problems"]] == ["p1"]
    new = parts["new"]["id"]
    evidence = (await editor.get(f"/api/incidents/{new}/evidence")).json()["items"]
    assert [item["id"] for item in evidence] == ["r_0000000000000003"]
    refused = await editor.post("/api/incidents/i1/split", json={"problems": ["p1"]})
    assert refused.status_code == 409
    assert "both have problems" in refused.json()["error"]


async def test_an_incident_is_relabelled(api: Api, editor: httpx.AsyncClient) -> None:
    await put(api.store)
    body = {"title": "The pool", "severity": "critical", "labels": {"team": "core"}}
    changed = (await editor.post("/api/incidents/i1/relabel", json=body)).json()
    assert (changed["title"], changed["severity"], changed["labels"]["team"]) == ("The pool", "critical", "core")
    assert (await editor.post("/api/incidents/i1/relabel", json={})).status_code == 409
    assert (await editor.post("/api/incidents/i1/relabel", json={"titel": "x"})).status_code == 422


async def test_open_alerts_are_the_told_and_unresolved(api: Api, editor: httpx.AsyncClient) -> None:
    await put(api.store)
    await put(api.store, "low", disposition="OBSERVE")
    await put(api.store, "held", status=Status.SUPPRESSED)
    await put(api.store, "back", reopened=1)  # told before it came back, not since
    rows = (await editor.get("/api/open_alerts")).json()
    assert rows == [
        {
            "incident_id": "i1", "project": "shop", "service": "db", "severity": "high", "disposition": "NEEDS_ONCALL",
            "title": "Connection pool exhausted in db", "runbook": "db-pool-exhausted", "summary": "no pool",
            "value": 1,
        }
    ]  # fmt: skip
    await editor.post("/api/incidents/i1/close")
    assert (await editor.get("/api/open_alerts")).json() == []


async def test_a_decision_in_shadow_opens_no_alert(api: Api, viewer: httpx.AsyncClient) -> None:
    await put(api.store)
    async with api.store.transaction("shop") as tx:
        incident = await tx.incident("i1")
        assert incident is not None
        await tx.save_incident(incident.model_copy(update={"id": "quiet"}))
        await tx.add_decision(make_decision("dq", "quiet", mode=Mode.SHADOW))
        action = (await tx.actions("i1"))[0]
        changed = {"key": "shadow:quiet", "incident_id": "quiet", "decision_id": "dq", "state": "shadow"}
        await tx.add_action(action.model_copy(update=changed))
        await tx.save_verification(make_verification("vq", "quiet"))
    assert [row["incident_id"] for row in (await viewer.get("/api/open_alerts")).json()] == ["i1"]
