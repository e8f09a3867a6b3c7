"""Regions in Grafana: what is sent, once, whatever is restarted or away in between."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders import make_incident
from fake_grafana import FakeGrafana
from incidentlens.config.grafana import GrafanaSettings
from incidentlens.config.loader import Loaded
from incidentlens.model.clock import DAY, HOUR, MINUTE, SECOND, ManualClock
from incidentlens.model.terms import Disposition, Status
from incidentlens.publish.annotations import Annotator, body_of
from incidentlens.store.base import IncidentLine, Store

T0 = 1_763_000_000 * SECOND
URL = "http://grafana"


class Rig:
    """A store, a Grafana and a clock; `annotator()` is a new process."""

    def __init__(self, store: Store, dashboards: tuple[str, ...] = ("il-overview",), **settings: Any) -> None:
        self.store = store
        self.grafana = FakeGrafana(dashboards=dashboards)
        self.clock = ManualClock(T0)
        self.settings = GrafanaSettings(URL, "editor", places=("il-overview", ""), public_url="http://il", max_age=DAY)
        self.settings = replace(self.settings, **settings)
        self.annotator = self.restart()

    def restart(self) -> Annotator:
        self.annotator = Annotator(self.store, self.clock, {"shop": self.grafana.client()})
        return self.annotator

    async def run(self) -> int:
        project = SimpleNamespace(name="shop", grafana=self.settings)
        return await self.annotator.run_once(cast(Loaded, SimpleNamespace(projects={"shop": project})))

    async def put(self, incident_id: str = "i1", **changes: Any) -> None:
        values = {"project": "shop", "onset": T0, "opened_at": T0, "last_seen": T0, "updated_at": T0, **changes}
        async with self.store.transaction("shop") as tx:
            await tx.save_incident(make_incident(incident_id, **values))

    @property
    def regions(self) -> list[dict[str, Any]]:
        return list(self.grafana.annotations.values())


async def test_an_incident_becomes_one_region_a_place_with_its_tags(store: Store) -> None:
    rig = Rig(store)
    await rig.put(last_seen=T0 + 40 * SECOND, disposition=Disposition.ESCALATE)
    assert await rig.run() == 2
    assert [region.get("dashboardUID") for region in rig.regions] == ["il-overview", None]
    for region in rig.regions:
        assert region["tags"] == ["incidentlens", "project:shop", "incident:i1", "disposition:ESCALATE"]
        assert (region["time"], region["timeEnd"]) == (T0 // 10**6, T0 // 10**6 + 40_000)


async def test_what_was_sent_is_not_sent_again_even_by_a_new_process(store: Store) -> None:
    rig = Rig(store)
    await rig.put()
    await rig.run()
    rig.restart()
    rig.clock.advance(HOUR)
    assert await rig.run() == 0
    assert rig.grafana.count("POST") == 2


async def test_a_region_is_extended_in_steps_and_closed_at_the_end(store: Store) -> None:
    rig = Rig(store, places=("",))
    await rig.put()
    await rig.run()
    for second in range(1, 90):
        rig.clock.set(T0 + second * SECOND)
        await rig.put(last_seen=T0 + second * SECOND, count=second)
        await rig.run()
    assert rig.grafana.count("PATCH") <= 4
    await rig.put(last_seen=T0 + 89 * SECOND, status=Status.RESOLVED, ended_at=T0 + 200 * SECOND)
    await rig.run()
    assert rig.regions[0]["timeEnd"] == T0 // 10**6 + 200_000
    assert "resolved" in rig.regions[0]["text"]
    assert len(rig.regions) == 1


async def test_an_incident_that_comes_back_goes_on_in_its_own_region(store: Store) -> None:
    rig = Rig(store, places=("",))
    await rig.put(status=Status.RESOLVED, ended_at=T0 + MINUTE)
    await rig.run()
    await rig.put(status=Status.OPEN, ended_at=None, last_seen=T0 + 10 * MINUTE, reopened=1)
    await rig.run()
    assert [region["timeEnd"] for region in rig.regions] == [T0 // 10**6 + 600_000]


async def test_a_disposition_that_changes_changes_the_tags_in_place(store: Store) -> None:
    rig = Rig(store, places=("",))
    await rig.put(disposition=Disposition.NEEDS_DEV)
    await rig.run()
    await rig.put(disposition=Disposition.ESCALATE)
    await rig.run()
    assert [region["tags"][-1] for region in rig.regions] == ["disposition:ESCALATE"]


async def test_an_answer_that_is_lost_doubles_nothing(store: Store) -> None:
    rig = Rig(store, places=("",))
    await rig.put()
    rig.grafana.lose_answers = True
    await rig.run()
    rig.grafana.lose_answers = False
    rig.restart()
    rig.clock.advance(2 * MINUTE)
    await rig.run()
    assert len(rig.regions) == 1
    rig.clock.advance(2 * MINUTE)
    assert await rig.run() == 0


async def test_a_process_killed_before_it_kept_the_answer_doubles_nothing(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = Rig(store)

    async def killed(*_: object) -> None:
        raise RuntimeError

    await rig.put()
    monkeypatch.setattr(rig.annotator, "_keep", killed)
    with pytest.raises(RuntimeError):
        await rig.run()
    rig.restart()
    assert await rig.run() == 0  # leased by the one that was killed
    rig.clock.advance(2 * MINUTE)
    await rig.run()
    assert len(rig.regions) == 2


async def test_a_grafana_away_for_an_hour_gets_only_the_newest_state(store: Store) -> None:
    rig = Rig(store)
    rig.grafana.fault = lambda request: httpx.Response(502, text="bad gateway", request=request)
    for minute in range(60):
        rig.clock.set(T0 + minute * MINUTE)
        await rig.put(last_seen=T0 + minute * MINUTE)
        await rig.put("i2", onset=T0 + MINUTE, last_seen=T0 + (minute + 1) * MINUTE)
        await rig.run()
    tried = len(rig.grafana.asked)
    assert tried < 130  # one request an attempt: it is not asked for every region while it is away
    await rig.put("i2", onset=T0 + MINUTE, status=Status.RESOLVED, ended_at=T0 + 50 * MINUTE)
    rig.grafana.fault = None
    rig.clock.advance(2 * MINUTE)
    await rig.run()
    assert len(rig.regions) == 4
    assert rig.grafana.count("PATCH") == 0
    ends = {region["tags"][2]: region["timeEnd"] for region in rig.regions}
    assert ends == {"incident:i1": T0 // 10**6 + 59 * 60_000, "incident:i2": T0 // 10**6 + 50 * 60_000}


async def test_a_dashboard_that_is_not_there_gets_nothing_and_is_asked_for_again(store: Store) -> None:
    rig = Rig(store, dashboards=())
    await rig.put()
    await rig.run()
    assert [region.get("dashboardUID") for region in rig.regions] == [None]
    async with store.transaction("shop") as tx:
        waiting = [region for region in await tx.regions() if region.place]
    assert "no dashboard with the uid 'il-overview'" in waiting[0].error
    rig.grafana.dashboards["il-overview"] = 1
    rig.clock.advance(11 * MINUTE)
    await rig.run()
    assert len(rig.regions) == 2


async def test_a_token_that_may_not_write_is_not_tried_for_every_region(store: Store) -> None:
    rig = Rig(store, places=("",))
    rig.grafana.fault = lambda request: httpx.Response(403, json={"message": "Access denied"}, request=request)
    for number in range(5):
        await rig.put(f"i{number}")
    await rig.run()
    assert len(rig.grafana.asked) == 1


async def test_a_region_someone_removed_stays_away_once_the_incident_is_over(store: Store) -> None:
    rig = Rig(store, places=("",))
    await rig.put()
    await rig.run()
    rig.grafana.annotations.clear()
    await rig.put(status=Status.CLOSED, ended_at=T0 + MINUTE)
    await rig.run()
    await rig.run()
    assert rig.regions == []


async def test_another_annotation_under_the_old_id_is_left_alone(store: Store) -> None:
    rig = Rig(store, places=("",))
    await rig.put()
    await rig.run()
    somebodys = {"time": 1, "timeEnd": 2, "text": "deploy 7", "tags": ["deploy"]}
    rig.grafana.annotations = {1: dict(somebodys)}  # the database was replaced
    await rig.put(last_seen=T0 + 5 * MINUTE)
    await rig.run()
    assert rig.grafana.annotations[1] == somebodys
    assert len(rig.regions) == 2


@pytest.mark.parametrize("changes", [{"status": Status.IGNORED, "ended_at": T0 + 1}, {"disposition": "NO_ACTION"}])
async def test_what_turns_out_to_be_nothing_is_taken_away(store: Store, changes: dict[str, Any]) -> None:
    rig = Rig(store)
    await rig.put()
    await rig.run()
    await rig.put(**changes)
    await rig.run()
    assert rig.regions == []
    assert await rig.run() == 0


async def test_regions_are_capped_and_aged(store: Store) -> None:
    rig = Rig(store, places=("",), max_annotations=3, max_age=HOUR)
    for number in range(5):
        await rig.put(f"i{number}", onset=T0 + number * SECOND, last_seen=T0 + MINUTE)
        await rig.run()
    assert sorted(region["tags"][2] for region in rig.regions) == ["incident:i2", "incident:i3", "incident:i4"]
    await rig.put("i4", onset=T0 + 4 * SECOND, status=Status.RESOLVED, ended_at=T0 + MINUTE)
    await rig.run()
    rig.clock.advance(2 * HOUR)
    await rig.run()
    assert "incident:i4" not in {region["tags"][2] for region in rig.regions}


async def test_a_dashboard_no_longer_named_loses_its_regions(store: Store) -> None:
    rig = Rig(store)
    await rig.put()
    await rig.run()
    rig.settings = replace(rig.settings, places=("",))
    await rig.run()
    assert [region.get("dashboardUID") for region in rig.regions] == [None]


def make_line(**changes: Any) -> IncidentLine:
    values: dict[str, Any] = {
        "id": "i1", "title": "t", "service": "db", "status": Status.OPEN, "severity": "high", "onset": T0,
        "opened_at": T0, "disposition": "ESCALATE", "last_seen": T0, "ended_at": None, "count": 1, "reopened": 0,
        "cause": "", "labels": {},
    }  # fmt: skip
    return IncidentLine(**{**values, **changes})


def test_secrets_are_masked_and_markup_is_text() -> None:
    line = make_line(
        title="<img src=http://evil/x.png onerror=alert(1)> @everyone",
        cause="login with password=hunter22secret for bob@example.com",
    )
    text = body_of(line, "shop", "http://il")["text"]
    assert "<img" not in text
    assert "hunter22secret" not in text
    assert "bob@example.com" not in text
    assert text.count("<") == 2  # our own link's
    assert 'href="http://il/incidents/i1"' in text


@given(onset=st.integers(0, 2**62), seen=st.integers(0, 2**62), ended=st.none() | st.integers(0, 2**62))
@settings(deadline=None, max_examples=50)
def test_the_end_is_always_after_the_beginning(onset: int, seen: int, ended: int | None) -> None:
    body = body_of(make_line(onset=onset, last_seen=seen, ended_at=ended), "shop")
    assert body["timeEnd"] > body["time"]


@given(title=st.text(max_size=3000), cause=st.text(max_size=3000))
@settings(deadline=None, max_examples=50)
def test_tags_and_text_stay_within_bounds(title: str, cause: str) -> None:
    body = body_of(make_line(title=title, cause=cause), "p" * 63)
    assert sum(map(len, body["tags"])) <= 500
    assert 0 < len(body["text"]) < 8_000
    assert all(part not in body["text"] for part in ("<", ">"))


async def test_what_nobody_is_told_of_is_drawn_only_where_it_is_wanted(store: Store) -> None:
    rig = Rig(store, places=("",))
    await rig.put(disposition=Disposition.OBSERVE)
    await rig.run()
    assert rig.regions == []
    rig.settings = replace(rig.settings, least=Disposition.OBSERVE)
    await rig.run()
    assert len(rig.regions) == 1
