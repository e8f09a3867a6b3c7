from __future__ import annotations

import pytest

from incidentlens.config.loader import ConfigError, load_config
from incidentlens.config.promote import promote

WHOLE = """# ours
version: 1
store: {embedded: true}
server: {require_token: false}
projects:
  shop:
    # how often
    interval: 5s
    anomalies:
      detector: pca
      parameters: {kept: 0.5}

    # what is read
    queries:
      - {name: logs, logql: '{app=~".+"}'}
  other:
    queries:
      - {name: logs, logql: '{app=~".+"}'}
    anomalies:
      detector: pca
"""


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "incidentlens.yaml"
    path.write_text(WHOLE)
    return path


@pytest.mark.parametrize("project", ["shop", "other"])
def test_a_promoted_detector_is_what_the_project_uses_and_nothing_else_changes(config, project):
    assert promote(config, project, "isolation-forest", {"trees": 300, "contamination": "auto"}) == project
    chosen = load_config(config).projects[project].config.anomalies
    assert (chosen.detector, chosen.parameters) == ("isolation-forest", {"trees": 300, "contamination": "auto"})
    for line in WHOLE.splitlines():
        if "pca" not in line and "kept" not in line:
            assert line in config.read_text()
    assert "  detector: pca" in config.read_text()
    assert list(config.parent.iterdir()) == [config]


def test_a_project_without_the_key_gets_it(config):
    first = "    anomalies:\n      detector: pca\n      parameters: {kept: 0.5}\n"
    config.write_text(WHOLE.replace(first, ""))
    assert promote(config, None, "count-vector", {}) == "shop"
    loaded = load_config(config)
    assert loaded.projects["shop"].config.anomalies.detector == "count-vector"
    assert loaded.projects["other"].config.anomalies.detector == "pca"


@pytest.mark.parametrize(
    ("project", "detector", "error"),
    [("nobody", "pca", ValueError), ("shop", "magic", ConfigError)],
)
def test_what_cannot_be_promoted_leaves_the_file_as_it_was(config, project, detector, error):
    with pytest.raises(error):
        promote(config, project, detector, {})
    assert config.read_text() == WHOLE
    assert list(config.parent.iterdir()) == [config]


def test_a_detector_or_parameter_that_is_not_there_is_named_with_its_line(config):
    config.write_text(WHOLE.replace("kept: 0.5", "kep: 0.5"))
    with pytest.raises(ConfigError, match=r"anomalies.*no parameter 'kep'; it takes kept"):
        load_config(config)
