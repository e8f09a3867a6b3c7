"""Rules: as YAML in and out, kept on disk, evaluated, and their alerts."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from incidentlens.localloki import LocalLoki
from incidentlens.localloki.alert_template import TemplateFault, check_template, expand
from incidentlens.localloki.alerting import AlertSender
from incidentlens.localloki.gotext import format_exponent
from incidentlens.localloki.goyaml import to_yaml
from incidentlens.localloki.limits import MINUTE, SECOND
from incidentlens.localloki.ruler import Alert, Ruler, Vector
from incidentlens.localloki.rules import Rule, RuleError, RuleGroup, RuleStore, group_yaml, parse_group
from incidentlens.logql.errors import LogQLError

NOW = 1_795_176_000 * SECOND
EXPR = 'sum by (service) (rate({a="b"}[1m])) > 0'


def group(*rules: Rule, **fields: Any) -> RuleGroup:
    return RuleGroup("g", rules, **fields)


def test_a_group_is_written_as_go_writes_it() -> None:
    body = b"""
name: g1
interval: 1m30s
limit: 5
query_offset: 1m
rules:
- alert: A
  expr: 'sum(rate({a="b"}[1m])) > 0'
  for: 5m
  keep_firing_for: 10m
  labels: {z: 1, a: b}
  annotations: {summary: 'x: y', multi: "a\\nb"}
- record: job:x
  expr: 'sum(rate({a="b"}[1m]))'
  labels: {q: 'true'}
"""
    assert group_yaml(parse_group(body)) == (
        'name: g1\ninterval: 1m30s\nlimit: 5\nrules:\n    - alert: A\n      expr: sum(rate({a="b"}[1m])) > 0\n'
        '      for: 5m\n      labels:\n        a: b\n        z: "1"\n      annotations:\n        multi: |-\n'
        "            a\n            b\n        summary: 'x: y'\n    - record: job:x\n"
        '      expr: sum(rate({a="b"}[1m]))\n      labels:\n        q: "true"\n'
    )


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("", "group 0: Groupname must not be empty"),
        ("rules: []", "group 0: Groupname must not be empty"),
        ("{{{", "unable to decoded rule group"),
        ("- a", "unable to decoded rule group"),
        ("name: [a]", "unable to decoded rule group"),
        ("name: g\ninterval: 1", "unable to decoded rule group"),
        ("name: g\nrules: {a: b}", "unable to decoded rule group"),
        (
            "name: g\nrules:\n- alert: A\n  record: b\n  expr: 'vector(1)'",
            "only one of 'record' and 'alert' must be set",
        ),
        ("name: g\nrules:\n- expr: 'vector(1)'", "one of 'record' or 'alert' must be set"),
        ("name: g\nrules:\n- alert: A", "field 'expr' must be set in rule"),
        ("name: g\nrules:\n- record: 'a-b c'\n  expr: 'vector(1)'", "invalid recording rule name: a-b c"),
        ("name: g\nrules:\n- record: ab\n  for: 1m\n  expr: 'vector(1)'", "invalid field 'for' in recording rule"),
        ("name: g\nrules:\n- alert: A\n  expr: 'vector(1)'\n  labels: {a-b: c}", "invalid label name: a-b"),
        ("name: g\nrules:\n- alert: A\n  expr: 'vector(1)'\n  annotations: {a-b: c}", "invalid annotation name: a-b"),
        (
            "name: g\nrules:\n- record: A\n  expr: 'rate({a=\"b\"})'",
            "could not parse expression for record 'A' in group 'g': parse error at line 1, col 13: syntax error: "
            "unexpected )",
        ),
        (
            "name: g\nrules:\n- alert: A\n  expr: 'vector(1)'\n  annotations: {a: '{{ $foo }}'}",
            'annotation "a": template: __alert_A:1: undefined variable "$foo"',
        ),
        (
            "name: g\nrules:\n- alert: A\n  expr: 'vector(1)'\n  labels: {a: '{{ .x | nofunc }}'}",
            'label "a": template: __alert_A:1: function "nofunc" not defined',
        ),
    ],
)
def test_a_group_that_is_not_sound_is_refused_in_lokis_words(body: str, text: str) -> None:
    with pytest.raises(RuleError) as refused:
        parse_group(body.encode())
    assert str(refused.value) == text


@settings(deadline=None, max_examples=200)
@given(st.dictionaries(st.from_regex(r"[a-z]{1,5}", fullmatch=True), st.text(max_size=30), max_size=4))
def test_any_text_written_as_yaml_reads_back_as_it_was(texts: dict[str, str]) -> None:
    texts = {
        key: "".join(c for c in text if c not in "\r\x85\u2028\u2029\ufeff" and not 0xD800 <= ord(c) < 0xE000)
        for key, text in texts.items()
    }
    document = {"name": "g", "labels": texts, "rules": [{"alert": "A", "annotations": texts}]}
    read = yaml.load(to_yaml(document), Loader=yaml.BaseLoader)
    assert (read["labels"] or {}) == texts
    assert (read["rules"][0]["annotations"] or {}) == texts


def test_rules_are_kept_on_disk_apart_by_tenant(tmp_path: Path) -> None:
    store = RuleStore(tmp_path / "rules.sqlite")
    kept = parse_group(f"name: g\nrules:\n- alert: A\n  expr: '{EXPR}'\n  for: 90s\n".encode())
    store.put("one", "ns", kept)
    store.put("two", "ns", group())
    store.close()
    again = RuleStore(tmp_path / "rules.sqlite")
    assert again.groups("one") == {"ns": [kept]}
    assert again.get("two", "ns", "g") == group()
    assert again.groups("three") == {}
    assert (again.delete("one", "ns", "g"), again.delete("one", "ns", "g"), again.delete("two", "ns")) == (
        True,
        False,
        True,
    )
    assert again.tenants() == []
    again.close()


class Fixture:
    """A ruler over answers that the test gives."""

    def __init__(self, path: Path) -> None:
        self.store = RuleStore(path / "rules.sqlite")
        self.answers: dict[str, Vector | Exception] = {}
        self.ruler = Ruler(self.store, self._evaluate)
        self.now = NOW

    def _evaluate(self, tenant: str, expr: str, now: int) -> Vector:
        answer = self.answers.get(expr, [])
        if isinstance(answer, Exception):
            raise answer
        return [(dict(labels), value) for labels, value in answer]

    def after(self, seconds: float) -> list[tuple[dict[str, str], str, int]]:
        """What is sent at the next evaluation: labels, state, end."""
        self.now += int(seconds * SECOND)
        sends = self.ruler.evaluate_due(self.now)
        return [
            (alert.labels, alert.state, alert.valid_until - self.now)
            for alerts in sends.values()
            for _, alert in alerts
        ]

    def alerts(self) -> list[Alert]:
        return [alert for one in self.ruler.groups("t", self.now) for rule in one.rules for alert in rule.active()]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Fixture]:
    fixture = Fixture(tmp_path)
    yield fixture
    fixture.store.close()


def test_an_alert_is_pending_for_its_for_then_fires_is_told_again_and_ends(world: Fixture) -> None:
    world.store.put("t", "ns", group(Rule(EXPR, alert="A", hold_ns=MINUTE), interval_ns=15 * SECOND))
    world.answers[EXPR] = [({"service": "db"}, 2.0)]
    labels = {"alertname": "A", "service": "db"}
    assert world.after(0) == []
    assert [(alert.state, alert.value) for alert in world.alerts()] == [("pending", 2.0)]
    assert [world.after(15) for _ in range(3)] == [[], [], []]
    assert world.after(15) == [(labels, "firing", 4 * MINUTE)]
    assert [world.after(15) for _ in range(3)] == [[], [], []]
    assert world.after(15) == [(labels, "firing", 4 * MINUTE)]
    world.answers[EXPR] = []
    assert world.after(15) == [(labels, "inactive", 0)]
    assert world.alerts() == []
    assert [world.after(15) for _ in range(3)] == [[], [], []]
    assert world.after(15) == [(labels, "inactive", -MINUTE)], "an end is told again, for the first may have been lost"
    assert sum(len(world.after(60)) for _ in range(30)) < 20, "but not for ever"


def test_a_pending_alert_that_goes_is_never_told(world: Fixture) -> None:
    world.store.put("t", "ns", group(Rule(EXPR, alert="A", hold_ns=MINUTE), interval_ns=15 * SECOND))
    world.answers[EXPR] = [({}, 1.0)]
    assert (world.after(0), world.after(15)) == ([], [])
    world.answers[EXPR] = []
    assert world.after(15) == []
    world.answers[EXPR] = [({}, 1.0)]
    assert [world.after(15) for _ in range(4)] == [[], [], [], []]
    assert [state for _, state, _ in world.after(15)] == ["firing"]


def test_labels_and_annotations_are_filled_in(world: Fixture) -> None:
    rule = Rule(
        EXPR,
        alert="A",
        labels={"team": "{{ $labels.service }}-team", "empty": "{{ $labels.none }}"},
        annotations={"summary": "errors in {{ $labels.service }}: {{ $value }} ({{ $value | humanize }})"},
    )
    world.store.put("t", "ns", group(rule))
    world.answers[EXPR] = [({"service": "db", "__name__": "x"}, 1234.5)]
    world.after(0)
    [alert] = world.alerts()
    assert alert.labels == {"alertname": "A", "service": "db", "team": "db-team"}
    assert alert.annotations == {"summary": "errors in db: 1234.5 (1.234k)"}


def test_a_query_that_fails_leaves_the_alerts_and_says_so(world: Fixture) -> None:
    world.store.put("t", "ns", group(Rule(EXPR, alert="A"), interval_ns=MINUTE))
    world.answers[EXPR] = [({}, 1.0)]
    world.after(0)
    world.answers[EXPR] = LogQLError("no")
    world.after(60)
    [[state]] = [one.rules for one in world.ruler.groups("t", world.now)]
    assert (state.health, state.last_error, state.state) == ("err", "parse error : no", "firing")
    world.answers[EXPR] = [({}, 1.0)]
    world.after(60)
    assert state.health == "ok"


def test_more_alerts_than_the_groups_limit_leave_those_there_were(world: Fixture) -> None:
    world.store.put("t", "ns", group(Rule(EXPR, alert="A"), limit=2, interval_ns=MINUTE))
    world.answers[EXPR] = [({"n": "1"}, 1.0)]
    world.after(0)
    world.answers[EXPR] = [({"n": str(index)}, 1.0) for index in range(3)]
    world.after(60)
    [[state]] = [one.rules for one in world.ruler.groups("t", world.now)]
    assert (state.last_error, len(state.active())) == ("exceeded limit of 2 with 3 alerts", 1)


def test_a_rule_that_is_taken_away_ends_its_alerts(world: Fixture) -> None:
    world.store.put("t", "ns", group(Rule(EXPR, alert="A"), Rule("vector(1)", alert="B")))
    world.answers = {EXPR: [({}, 1.0)], "vector(1)": [({}, 1.0)]}
    world.after(0)
    world.store.put("t", "ns", group(Rule("vector(1)", alert="B"), interval_ns=MINUTE))
    sent = world.after(1)
    assert ({"alertname": "A"}, "inactive", 0) in sent
    assert [alert.labels["alertname"] for alert in world.alerts()] == ["B"]
    world.store.delete("t", "ns")
    assert world.after(1) == [({"alertname": "B"}, "inactive", 0)]
    assert world.ruler.next_due() is None


def test_a_recording_rule_holds_its_values(world: Fixture) -> None:
    world.store.put("t", "ns", group(Rule(EXPR, record="job:x", labels={"team": "a"})))
    world.answers[EXPR] = [({"service": "db"}, 3.0)]
    assert world.after(0) == []
    [[state]] = [one.rules for one in world.ruler.groups("t", world.now)]
    assert state.vector == [({"service": "db", "team": "a", "__name__": "job:x"}, 3.0)]
    assert state.health == "ok"


def test_after_a_pause_missed_steps_are_not_made_up_for(world: Fixture) -> None:
    world.store.put("t", "ns", group(Rule(EXPR, alert="A"), interval_ns=10 * SECOND))
    world.after(0)
    world.after(3600)
    assert world.ruler.next_due() == world.now + 10 * SECOND


async def test_what_an_alertmanager_did_not_take_is_sent_again(world: Fixture) -> None:
    answers = [httpx.Response(500), httpx.Response(200)]
    async with httpx.AsyncClient(transport=httpx.MockTransport(lambda _: answers.pop(0))) as client:
        sender = AlertSender("http://am", client)
        world.store.put("t", "ns", group(Rule(EXPR, alert="A"), interval_ns=5 * SECOND))
        world.answers[EXPR] = [({}, 1.0)]
        for taken in (False, True):
            [(tenant, alerts)] = world.ruler.evaluate_due(world.now).items()
            assert await sender.send(tenant, alerts) is taken
            world.now += 5 * SECOND
        assert world.ruler.evaluate_due(world.now) == {}
        assert (sender.sent, sender.dropped) == (1, 1)
        assert "500" in sender.last_error


async def test_a_running_local_loki_evaluates_and_posts(tmp_path: Path) -> None:
    posts: asyncio.Queue[bytes] = asyncio.Queue()

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        posts.put_nowait(head + await reader.readexactly(length))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(take, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    loki = LocalLoki(tmp_path, alertmanager_url=f"http://127.0.0.1:{port}")
    async with server, loki, httpx.AsyncClient() as client:
        rule = "name: g\ninterval: 1s\nrules:\n- alert: Up\n  expr: vector(1) > 0\n"
        assert (await client.post(f"{loki.url}/loki/api/v1/rules/ns", content=rule)).status_code == 202
        post = await asyncio.wait_for(posts.get(), 10)
    assert post.startswith(b"POST /api/v2/alerts HTTP/1.1\r\n")
    assert b'"alertname":"Up"' in post
    assert b"x-scope-orgid: fake" in post.lower()


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{{ $value | humanize }}", "1.234M"),
        ("{{ $value | humanize1024 }}", "1.177Mi"),
        ("{{ 0.256 | humanizePercentage }}", "25.6%"),
        ("{{ 3725.0 | humanizeDuration }}", "1h 2m 5s"),
        ("{{ 0.0021 | humanizeDuration }}", "2.1ms"),
        ("{{ $labels.service | toUpper | title }}", "DB"),
        ('{{ if match "d." .Labels.service }}yes{{ else }}no{{ end }}', "yes"),
        ('{{ reReplaceAll "(d)b" "${1}c" $labels.service }}', "dc"),
        ('{{ printf "%.1f" $value }}', "1234000.0"),
        ("{{ $labels.none }}|", "|"),
        ("no template", "no template"),
    ],
)
def test_templates_have_prometheus_functions(template: str, text: str) -> None:
    assert expand(template, "A", {"service": "db"}, 1_234_000.0) == text


def test_a_template_that_fails_says_so_in_its_text() -> None:
    assert expand('{{ query "up" }}', "A", {}, 1.0).startswith("<error expanding template: ")
    with pytest.raises(TemplateFault, match="unclosed action"):
        check_template("{{ $value", "A")


@pytest.mark.parametrize(
    ("value", "text"), [(43.0, "4.3e+01"), (0.0, "0e+00"), (1e-7, "1e-07"), (1 / 3, "3.333333333333333e-01")]
)
def test_values_of_alerts_have_an_exponent(value: float, text: str) -> None:
    assert format_exponent(value) == text
