from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from incidentlens.evidence import EvidenceContext, gather
from incidentlens.incidents import apply_root_cause, group, root_cause
from incidentlens.model.clock import HOUR, MINUTE, SECOND
from incidentlens.model.decisions import Alert, Deploy, Feedback, Maintenance
from incidentlens.model.past import PastIncident

START = 1_700_000_000 * SECOND


def _problem_builder():
    path = Path(__file__).parents[1] / "incidents" / "conftest.py"
    spec = importlib.util.spec_from_file_location("incident_builders", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.problem


problem = _problem_builder()


@pytest.fixture
def incident():
    traces = ("t1", "t2")
    (found,) = group(
        [
            problem("orders", "pool exhausted", 0, traces=traces),
            problem("payment", "orders timeout", 2, traces=traces, mentions=("orders",)),
        ],
        [],
        START,
    )
    return apply_root_cause(found, root_cause(found))


def test_every_record_that_the_chain_cites_is_in_the_bundle(incident):
    bundle = gather(incident)
    assert bundle.dropped == 0
    for step in incident.root_cause.chain:
        assert all(bundle.item(found) for found in step.evidence)


def test_deploys_alerts_maintenance_and_past_causes_have_prefixed_ids(incident):
    past = PastIncident.of(
        incident.model_copy(update={"id": "inc_past", "onset": START - HOUR}),
        feedback=(Feedback(incident_id="inc_past", at=START, by="ann", verdict="right_cause"),),
    )
    context = EvidenceContext(
        past=(past,),
        deploys=(
            Deploy(id="d1", project="p", service="orders", at=START - MINUTE, version="2.1"),
            Deploy(id="old", project="p", service="orders", at=START - 24 * HOUR),
        ),
        maintenance=(Maintenance(id="m1", project="p", starts_at=START - HOUR, ends_at=START + HOUR),),
        alerts=(
            Alert(fingerprint="f", project="p", name="High", starts_at=START, ends_at=None, labels={"app": "orders"}),
        ),
    )
    items = {item.id: item for item in gather(incident, context).items}
    assert {"deploy_d1", "maintenance_m1", "alert_f", "incident_past", "cause_past"} <= set(items)
    assert "deploy_old" not in items
    assert "before the incident began" in items["deploy_d1"].text
    assert "ann confirmed" in items["cause_past"].text
    assert sum(item.kind == "timeline" for item in items.values()) == 2


def test_bounds_cut_the_least_needed_and_count_it(incident):
    whole = gather(incident)
    cut = gather(incident, EvidenceContext(max_items=3))
    assert len(cut.items) == 3
    assert cut.dropped == len(whole.items) - 3
    cited = {found for step in incident.root_cause.chain for found in step.evidence}
    assert {item.id for item in cut.items} <= cited
    assert gather(incident, EvidenceContext(max_bytes=300)).dropped > 0


def test_gathering_twice_gives_the_same(incident):
    assert gather(incident) == gather(incident)
