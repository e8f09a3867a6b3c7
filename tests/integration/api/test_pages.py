"""The pages as they come from the server: complete without a script, and safe whatever the logs hold."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import httpx
import pytest

from api_app import BASE, SHOP_EDITOR, SHOP_VIEWER, Api
from builders import T0, make_evidence, make_problem, make_sample, make_verification
from incidentlens.api.auth import COOKIE, to_cookie
from incidentlens.model.clock import MINUTE
from incidentlens.model.decisions import Deploy
from incidentlens.model.terms import Outcome, Status
from incidentlens.store.base import Quarantined
from incidents_in_store import POOL, put

EVIL = "<script>alert(1)</script><img src=x onerror=alert(1)>\"'`{{7*7}}\u202egnp.exe\x00\x1b[31m"
SAME = {"Sec-Fetch-Site": "same-origin"}


class Tags(HTMLParser):
    """The tags and attributes of a page, and that they are closed in order."""

    VOID = ("meta", "link", "input", "br", "img", "rect", "circle", "path", "option")

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.attributes: set[str] = set()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.open: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            self.attributes.add(name)
            if name == "id" and value:
                self.ids.append(value)
            if name == "href" and value:
                self.links.append(value)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in self.VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag


async def html(client: httpx.AsyncClient, path: str, status: int = 200) -> str:
    answer = await client.get(path)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    return answer.text


PAGES = ["/", "/incidents/i1", "/signatures", f"/signatures/{POOL}".replace("#", "%23"), "/runbooks"]
PAGES += ["/planned", "/quarantine"]


async def test_every_page_is_whole_and_needs_nothing_from_elsewhere(open_api: Api, local: httpx.AsyncClient) -> None:
    await put(open_api.store)
    for path in PAGES:
        text = await html(local, path)
        page = Tags(text)
        assert page.open == [], path
        assert {"main", "header", "nav", "footer", "h1"} <= set(page.tags), path
        assert "style" not in page.attributes | set(page.tags), path
        assert not {name for name in page.attributes if name.startswith("on")}, path
        assert len(page.ids) == len(set(page.ids)), path
        assert not re.search(r'(?:src|href)="(?:https?:)?//', text), path
        assert 'http-equiv="refresh"' in text
        assert ' datetime="' in text or path in ("/runbooks", "/planned", "/quarantine"), path


async def test_the_headers_keep_a_browser_from_running_anything_else(local: httpx.AsyncClient) -> None:
    answer = await local.get("/")
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store"


async def test_one_incident_shows_cause_proof_decision_watch_and_history(
    open_api: Api, local: httpx.AsyncClient
) -> None:
    await put(open_api.store)
    text = await html(local, "/incidents/i1")
    for expected in (
        "The pool of db ran out", "names db 12 times", "+4 s", "ERROR connection pool exhausted (1)",
        "The pool of db is used up", "db takes payment with it", "Somebody was told",
        "critical is at least NEEDS_ONCALL",
        "12 records in 47 s", "<code>pg_stat_activity</code>", "NEEDS_ONCALL: the pool of db ran out",
        "first of its kind", "it was opened",
    ):  # fmt: skip
        assert expected in text, expected
    page = Tags(text)
    cited = [link for link in page.links if link.startswith("#ev-")]
    assert cited
    assert {link[1:] for link in cited} <= set(page.ids)


async def test_hostile_text_is_text_everywhere(open_api: Api, local: httpx.AsyncClient) -> None:
    """In titles, services, signatures, templates, lines, labels, notes: nothing of it becomes a tag or acts."""
    sample = make_sample(7, service=EVIL, line=EVIL, message=EVIL)
    problem = make_problem(
        7, service=EVIL, signature="evil:ERROR:" + EVIL, template=EVIL + " <*>", why=EVIL, samples=(sample,)
    )
    await put(
        open_api.store, "evil", title=EVIL, service=EVIL, summary=EVIL, problems=(problem,), root_cause=None,
        labels={EVIL: EVIL}, runbook=EVIL,
    )  # fmt: skip
    async with open_api.store.transaction("shop") as tx:
        await tx.save_evidence(
            "evil", [make_evidence(9, text=EVIL, service=EVIL, data={"level": EVIL, "trace_id": EVIL})]
        )
        await tx.add_deploy(Deploy(id="d", project="shop", service=EVIL, at=T0))
        templates = await tx.templates()
        await tx.save_templates([templates[0].model_copy(update={"signature": "evil:ERROR:" + EVIL, "template": EVIL})])
        await tx.service_first_seen({EVIL: T0})
    await local.post("/api/incidents/evil/close", json={"text": EVIL, "by": EVIL})
    await local.post("/api/incidents/evil/feedback", json={"verdict": "wrong_cause", "text": EVIL, "service": EVIL})
    link = (await local.get("/api/signatures?q=evil")).json()["items"][0]["signature"]
    from urllib.parse import quote

    for path in (
        "/",
        "/incidents/evil",
        "/signatures",
        f"/signatures/{quote(link, safe='')}",
        "/runbooks",
        f"/?q={quote(EVIL)}",
    ):
        text = await html(local, path)
        page = Tags(text)
        assert page.tags.count("script") == 1, path
        assert "img" not in page.tags, path
        assert not {name for name in page.attributes if name.startswith("on")}, path
        assert "\u202e" not in text, path
        assert "\x00" not in text, path
        assert "49" not in re.findall(r"\{\{(.*?)\}\}", text), path
    assert (await local.get("/incidents/evil/report")).status_code == 200


async def test_a_huge_token_is_cut_into_a_part_that_opens(open_api: Api, local: httpx.AsyncClient) -> None:
    await put(open_api.store)
    async with open_api.store.transaction("shop") as tx:
        await tx.save_evidence("i1", [make_evidence(8, text="x" * 10_000)])
    text = await html(local, "/incidents/i1")
    assert "7,000 more characters" in text


async def test_empty_lists_say_what_to_do(local: httpx.AsyncClient) -> None:
    assert "No incident yet" in await html(local, "/")
    assert "incidentlens scenario run" in await html(local, "/")
    assert "No incident fits" in await html(local, "/?q=nothing")
    assert "No signature yet" in await html(local, "/signatures")
    assert "No runbooks" in await html(local, "/runbooks?project=bank")
    assert "Nothing grows" in await html(local, "/signatures?sort=growing")


async def test_the_filter_form_keeps_what_was_chosen_through_the_pages(open_api: Api, local: httpx.AsyncClient) -> None:
    for number in range(52):
        await put(open_api.store, f"i{number}", problems=(make_problem(1),), root_cause=None, last_seen=T0 + number)
    text = await html(local, "/?status=open&severity=high&service=db&q=pool&since=30d&sort=count&project=shop")
    assert text.count('type="checkbox"') == 15
    assert len(re.findall(r'value="(?:open|high)" data-submit checked', text)) == 2
    assert '<option value="count" selected>' in text
    following = re.search(r'rel="next" href="([^"]+)"', text)
    assert following is not None
    second = await html(local, following[1].replace("&amp;", "&"))
    assert second.count('<li class="row') == 2
    assert "First page" in second


async def test_runbooks_show_what_became_of_their_incidents(open_api: Api, local: httpx.AsyncClient) -> None:
    for number in range(6):
        await put(open_api.store, f"i{number}")
        async with open_api.store.transaction("shop") as tx:
            watch = make_verification(f"v-i{number}", f"i{number}", outcome=Outcome.STILL_FIRING, ended_at=T0 + 10**12)
            await tx.save_verification(watch)
    text = await html(local, "/runbooks")
    assert "6 still firing" in text
    assert "still firing 6 of 6 times: review the steps" in text
    assert "100 % of all matches" in text


async def test_trouble_with_loki_is_said_on_every_page(open_api: Api, local: httpx.AsyncClient) -> None:
    open_api.sidecar.runners["shop"].health.error = "Loki does not answer"
    assert "Loki does not answer" in await html(local, "/")
    assert "Loki does not answer" not in await html(local, "/?project=bank")


async def test_forms_change_the_incident_and_lead_back(open_api: Api, local: httpx.AsyncClient) -> None:
    await put(open_api.store)
    local.headers.update(SAME)

    async def send(verb: str, **fields: str) -> httpx.Response:
        return await local.post(f"/incidents/i1/{verb}", data={"project": "shop", **fields})

    closed = await send("close", text="fixed", by="Ann")
    assert (closed.status_code, closed.headers["location"]) == (303, "/incidents/i1?done=close&project=shop")
    assert "Closed." in await html(local, closed.headers["location"])
    assert (await send("reopen")).status_code == 303
    assert (await send("ignore")).status_code == 303
    assert (await send("feedback", verdict="right_cause", text="yes")).status_code == 303
    assert (
        await send("relabel", title="The pool", title_before="x", severity="low", labels="team=core")
    ).status_code == 303
    split = await send("split", problem="p2")
    new = split.headers["location"].split("?")[0]
    assert "payment timed out" in await html(local, new)
    assert (await send("merge", other=new.rsplit("/", 1)[1])).status_code == 303
    detail = (await local.get("/api/incidents/i1")).json()
    assert detail["incident"]["title"] == "The pool"
    assert detail["incident"]["labels"]["team"] == "core"
    assert len(detail["incident"]["problems"]) == 2
    named = await local.post(f"/signatures/{POOL}/label".replace("#", "%23"), data={"label": "Pool", "project": "shop"})
    assert named.status_code == 303


async def test_a_wrong_form_is_answered_with_a_page_that_says_what_to_do(
    open_api: Api, local: httpx.AsyncClient
) -> None:
    await put(open_api.store, status=Status.OPEN)
    for verb, fields, status in (
        ("feedback", {"verdict": "great"}, 400),
        ("split", {}, 400),
        ("split", {"problem": "none"}, 409),
        ("merge", {"other": ""}, 400),
        ("merge", {"other": "none"}, 404),
        ("relabel", {"labels": "no sign"}, 400),
        ("reopen", {}, 409),
        ("close", {"text": "x" * 4001}, 400),
    ):
        answer = await local.post(f"/incidents/i1/{verb}", data=fields, headers=SAME)
        assert answer.status_code == status, (verb, fields)
        assert answer.headers["content-type"].startswith("text/html")
        Tags(answer.text)
    assert "Not here" in await html(local, "/incidents/none", 404)


async def test_maintenance_is_announced_listed_and_ended_by_forms(open_api: Api, local: httpx.AsyncClient) -> None:
    assert "None holds, and none is to come." in await html(local, "/planned")
    local.headers.update(SAME)

    async def send(path: str, **fields: str) -> httpx.Response:
        return await local.post(f"/planned/{path}", data={"project": "shop", **fields})

    now = {"services": "db, payment", "minutes": "30", "reason": "<b>move</b>", "by": "Ann"}
    answer = await send("maintenance", **now)
    assert (answer.status_code, answer.headers["location"]) == (303, "/planned?done=maintenance&project=shop")
    await send("maintenance", starts_at="2025-06-16T10:00", ends_at="2025-06-16T11:00")
    open_api.clock.advance(MINUTE)
    text = await html(local, answer.headers["location"])
    assert "tell nobody" in text
    assert "db, payment" in text
    assert "&lt;b&gt;move&lt;/b&gt;" in text
    assert "by Ann" in text
    assert "all services" in text
    assert "End it now" in text
    assert "Call it off" in text
    ends = re.findall(r'action="(/planned/maintenance/[^"]+/end)"', text)
    assert len(ends) == 2
    for end in ends:
        assert (await local.post(end, data={"project": "shop"})).status_code == 303
    async with open_api.store.transaction("shop") as tx:
        assert await tx.maintenance(open_api.clock.now()) == []
    assert "None holds" in await html(local, "/planned?project=shop")
    past = await html(local, "/planned?past=true&project=shop")
    assert "db, payment" in past  # what held is over; what had not begun is gone
    assert "all services" not in past
    for end in ends:
        assert (await local.post(end, data={"project": "shop"})).status_code == 404
    assert past == await html(local, "/planned?past=true&project=shop")  # twice is once
    assert "None holds" in await html(local, "/planned?project=bank")


async def test_deploys_are_announced_by_a_form(open_api: Api, local: httpx.AsyncClient) -> None:
    fields = {"service": "db", "version": "1.2", "text": "{{ 7*7 }}", "planned_minutes": "20", "project": "shop"}
    assert (await local.post("/planned/deploys", data=fields, headers=SAME)).status_code == 303
    text = await html(local, "/planned?project=shop")
    assert "1.2" in text
    assert "{{ 7*7 }}" in text
    assert "problems expected" in text
    (deploy,) = (await local.get("/api/deploys?project=shop")).json()["items"]
    assert deploy["planned_until"] - deploy["at"] == 20 * MINUTE


async def test_a_wrong_plan_is_answered_with_a_page_that_says_what_to_do(local: httpx.AsyncClient) -> None:
    for path, fields, said in (
        ("maintenance", {}, "exactly one of ends_at and minutes"),
        ("maintenance", {"minutes": "soon"}, "minutes: "),
        ("maintenance", {"minutes": "-1"}, "minutes: "),
        ("maintenance", {"minutes": "5", "starts_at": "tomorrow"}, "starts_at: "),
        ("maintenance", {"ends_at": "2020-01-01T00:00"}, "ends after it starts"),
        ("deploys", {"service": ""}, "service: "),
        ("deploys", {"service": "x" * 301}, "service: "),
    ):
        answer = await local.post(f"/planned/{path}", data=fields, headers=SAME)
        assert answer.status_code in (400, 422), (path, fields)
        assert said in answer.text, (path, fields)
    foreign = {"sec-fetch-site": "cross-site", "origin": "https://evil.example"}
    assert (await local.post("/planned/maintenance", data={"minutes": "5"}, headers=foreign)).status_code == 403


async def test_records_put_aside_are_shown_as_text_and_told_on_every_page(
    open_api: Api, local: httpx.AsyncClient
) -> None:
    assert "Every record that was read went through" in await html(local, "/quarantine")
    record = Quarantined(
        id="r_1", ts=T0, service=EVIL, stream="{}", metadata=None, line=EVIL, error=f"ValueError: {EVIL}", at=T0
    )
    async with open_api.store.transaction("shop") as tx:
        await tx.add_quarantined([record])
    open_api.sidecar.runners["shop"].health.quarantined = 1
    text = await html(local, "/quarantine?project=shop")
    page = Tags(text)
    assert page.tags.count("script") == 1
    assert "img" not in page.tags
    assert "ValueError" in text
    assert "1 records made a stage raise" in await html(local, "/?project=shop")
    assert "made a stage raise</b>" not in await html(local, "/?project=bank")
    assert (await local.get("/api/quarantine?project=shop")).json()["items"][0]["id"] == "r_1"
    assert (await local.get("/readyz")).json()["quarantined"] == {"shop": 1, "bank": 0}
    assert (await local.get("/readyz")).json()["ready"]


async def test_without_a_token_pages_lead_to_the_login(api: Api) -> None:
    await put(api.store)
    async with api.client() as browser:
        answer = await browser.get("/incidents/i1?a=b")
        assert (answer.status_code, answer.headers["location"]) == (303, "/login?next=%2Fincidents%2Fi1%3Fa%3Db")
        assert "SECRET" not in answer.text
        form = await html(browser, "/login?next=/incidents/i1")
        assert 'value="/incidents/i1"' in form
        wrong = await browser.post("/login", data={"token": "nonsense-nonsense", "next": "/"}, headers=SAME)
        assert wrong.status_code == 401
        assert "not known" in wrong.text
        good = await browser.post("/login", data={"token": SHOP_EDITOR, "next": "/incidents/i1"}, headers=SAME)
        assert (good.status_code, good.headers["location"]) == (303, "/incidents/i1")
        cookie = good.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=strict" in cookie
        assert "Connection pool exhausted" in await html(browser, "/incidents/i1")
        assert (await browser.post("/incidents/i1/close", data={})).status_code == 403
        assert (await browser.post("/incidents/i1/close", data={}, headers=SAME)).status_code == 303
        out = await browser.post("/logout", headers=SAME)
        assert out.headers["location"] == "/login?out=true"
        browser.cookies.clear()
        assert (await browser.get("/")).status_code == 303


@pytest.mark.parametrize("following", ["//evil.example", "https://evil.example", "/\\evil.example", "/\t/evil", "evil"])
async def test_the_login_leads_nowhere_else(api: Api, following: str) -> None:
    async with api.client() as browser:
        answer = await browser.post("/login", data={"token": SHOP_EDITOR, "next": following}, headers=SAME)
    assert answer.headers["location"] == "/"


async def test_a_viewer_sees_no_forms_and_may_send_none(api: Api) -> None:
    await put(api.store)
    cookies = {COOKIE: to_cookie(SHOP_VIEWER)}
    async with httpx.AsyncClient(transport=api.transport, base_url=BASE, cookies=cookies, headers=SAME) as viewer:
        text = await html(viewer, "/incidents/i1")
        assert "Your token may only read" in text
        assert 'action="/incidents/i1' not in text
        planned = await html(viewer, "/planned")
        assert "Your token may only read" in planned
        assert 'method="post" class="do"' not in planned
        assert (await viewer.post("/planned/maintenance", data={"minutes": "5"})).status_code == 403
        assert (await viewer.post("/planned/maintenance/x/end", data={})).status_code == 403
        assert (await viewer.post("/planned/deploys", data={"service": "db"})).status_code == 403
        refused = await viewer.post("/incidents/i1/close", data={})
        assert refused.status_code == 403
        assert "role: editor" in refused.text


async def test_static_files_are_named_by_their_content(local: httpx.AsyncClient) -> None:
    text = await html(local, "/")
    for name in ("app.css", "app.js", "icon.svg"):
        found = re.search(rf'"(/static/{name}\?v=[0-9a-f]{{12}})"', text)
        assert found is not None
        assert (await local.get(found[1])).status_code == 200
    assert (await local.get("/static/../app.py")).status_code == 404
