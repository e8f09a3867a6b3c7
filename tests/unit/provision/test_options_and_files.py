"""What may be asked for, and the files that are written."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from incidentlens.grafana.queries.open_alerts import RAISED
from incidentlens.model.terms import Disposition
from incidentlens.provision import Options, OptionsError, Routing, removal_files, write
from incidentlens.provision.messages import templates
from incidentlens.provision.options import load_dashboards, version_of
from incidentlens.provision.resources import RAISED as IN_WORDS

REFERENCES = Options(escalate="$DISCORD_ESCALATE_URL", dev="$DISCORD_DEV_URL", oncall="$ONCALL_EMAIL", token="$TOKEN")


@pytest.mark.parametrize(
    "url", ["il.example.com", "javascript:alert(1)", "https://a b", "https://x/)](y", "https://${X}"]
)
def test_an_address_that_could_break_a_message_is_refused(url: str) -> None:
    with pytest.raises(OptionsError, match="--public-url takes an address"):
        Options(public_url=url)


def test_an_alert_below_the_threshold_names_who_has_it_now_as_the_data_source_means_it() -> None:
    """Values of `open_alerts` and the rule's words for them."""
    assert RAISED == {Disposition.NEEDS_ONCALL: 0.0, Disposition.ESCALATE: -1.0}
    assert "eq .Values.A.Value 0.0 }}NEEDS_ONCALL{{ else if lt .Values.A.Value 0.0 }}ESCALATE{{ end }}" in IN_WORDS


def test_an_address_that_is_too_long_for_every_message_is_refused() -> None:
    with pytest.raises(OptionsError, match="at most 120"):
        Options(public_url="https://" + "a" * 120)


@given(st.text(max_size=40))
@settings(deadline=None, max_examples=100)
def test_a_version_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(OptionsError):
        assert len(version_of(text)) == 2


def test_versions_as_grafana_writes_them() -> None:
    assert [version_of(text) for text in ("9.4.0-pre", "12.4.2", "v13.1", "11")] == [(9, 4), (12, 4), (13, 1), (11, 0)]


def test_files_hold_no_secret_and_say_that_they_replace_the_tree(tmp_path: Path) -> None:
    paths = write(tmp_path, REFERENCES)
    contacts = yaml.safe_load((tmp_path / "alerting/incidentlens-contacts.yaml").read_text())
    urls = [p["receivers"][0]["settings"].get("url") for p in contacts["contactPoints"]]
    assert urls == ["$DISCORD_ESCALATE_URL", None, "$DISCORD_DEV_URL"]
    policies = (tmp_path / "alerting/incidentlens-policies.yaml").read_text()
    assert "replaces the organisation's whole notification policy tree" in policies
    assert len(paths) == 4
    assert write(tmp_path, REFERENCES) == paths


def test_rules_that_name_their_contact_points_come_without_a_tree(tmp_path: Path) -> None:
    options = Options(escalate="$A", dev="$B", oncall="$C", routing=Routing.RULE, version=(12, 0))
    names = {path.name for path in write(tmp_path, options)}
    assert "incidentlens-policies.yaml" not in names
    rules = yaml.safe_load((tmp_path / "alerting/incidentlens-rules.yaml").read_text())["groups"][0]["rules"]
    assert [rule["notification_settings"]["receiver"] for rule in rules] == [
        "discord-escalate", "email-oncall", "discord-dev",
    ]  # fmt: skip


def test_removal_resets_the_tree_only_where_ours_was_written(tmp_path: Path) -> None:
    write(tmp_path / "with", REFERENCES)
    removal_files(tmp_path / "with")
    gone = yaml.safe_load((tmp_path / "with/alerting/incidentlens-remove.yaml").read_text())
    assert gone["resetPolicies"] == [1]
    removal_files(tmp_path / "without")
    gone = yaml.safe_load((tmp_path / "without/alerting/incidentlens-remove.yaml").read_text())
    assert "resetPolicies" not in gone
    assert not list(tmp_path.rglob("incidentlens-rules.yaml"))


def test_file_templates_have_nothing_that_grafana_would_take_for_a_variable_of_its_environment() -> None:
    text = templates(incident_dashboard=True)
    assert "$1" not in text
    assert "${" not in text
    assert text.count("{{") == text.count("}}")


def test_what_is_no_dashboard_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("[]")
    with pytest.raises(OptionsError, match="is no dashboard with a uid"):
        load_dashboards(tmp_path)
