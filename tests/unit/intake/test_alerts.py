"""Alerts as Loki's ruler, Alertmanager and Grafana send them."""

import contextlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from incidentlens.intake.alerts import AlertFormatError, read_alerts

NOW = 1_763_700_000 * 10**9
RULER = Path(__file__).parents[2] / "contract" / "loki" / "api" / "ruler_alertmanager_v2_post.json"


def test_what_a_real_ruler_posts_is_read_with_the_query_inside_its_link():
    body = json.loads(RULER.read_text())["request"]["body"]
    alerts = read_alerts(json.dumps(body).encode(), "shop", NOW)
    assert [alert.labels["service_name"] for alert in alerts] == ["peerproof-checkout", "peerproof-worker"]
    assert alerts[0].name == "PeerproofErrors"
    assert alerts[0].query.startswith("(sum by (service_name)(count_over_time(")
    assert alerts[0].ends_at is not None
    assert alerts[0].ends_at > alerts[0].starts_at
    assert alerts[0].fingerprint != alerts[1].fingerprint


def test_the_same_alert_sent_again_has_the_same_fingerprint_whatever_its_order_of_labels():
    one = read_alerts(b'[{"labels": {"a": "1", "b": "2"}}]', "shop", NOW)
    two = read_alerts(b'[{"labels": {"b": "2", "a": "1"}, "startsAt": "2026-11-21T00:00:00Z"}]', "shop", NOW)
    assert one[0].fingerprint == two[0].fingerprint


def test_the_webhook_form_of_alertmanager_and_grafana_is_read_and_resolved_ends_now():
    body = {
        "version": "4",
        "status": "resolved",
        "alerts": [{"status": "resolved", "labels": {"alertname": "High"}, "endsAt": "0001-01-01T00:00:00Z"}],
    }
    (alert,) = read_alerts(json.dumps(body).encode(), "shop", NOW)
    assert alert.name == "High"
    assert alert.ends_at == NOW


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "no JSON"),
        (b"<html>", "no JSON"),
        (b"{}", "alerts"),
        (b'[{"labels": {"a": 1}}]', "0.labels.a"),
        (b'{"alerts": [{"startsAt": "yesterday"}]}', "alerts.0.startsAt"),
    ],
)
def test_another_body_is_refused_with_the_place_and_what_is_expected(body, says):
    with pytest.raises(AlertFormatError, match=says):
        read_alerts(body, "shop", NOW)


@given(st.binary(max_size=200))
def test_no_body_raises_anything_else(body):
    with contextlib.suppress(AlertFormatError):
        read_alerts(body, "shop", NOW)
