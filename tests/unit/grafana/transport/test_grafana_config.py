"""Where the data source may be served."""

from __future__ import annotations

from pathlib import Path

import pytest

from api_app import CONFIG
from incidentlens.config.loader import ConfigError, Loaded, load_config


def loaded(folder: Path, tokens: str, grafana: str) -> Loaded:
    path = folder / "incidentlens.yaml"
    path.write_text(CONFIG.format(tokens=tokens, shop_tenant="s", bank_tenant="b") + f"grafana: {grafana}\n")
    return load_config(path)


def test_nothing_listens_for_grafana_unless_it_is_said_so(tmp_path: Path) -> None:
    assert loaded(tmp_path, "true", "{}").config.grafana.listen is None
    assert loaded(tmp_path, "true", '{listen: "0.0.0.0:50051"}').config.grafana.listen == "0.0.0.0:50051"


def test_without_tokens_grafana_is_answered_on_this_machine_only(tmp_path: Path) -> None:
    assert loaded(tmp_path, "false", '{listen: "[::1]:50051"}').config.grafana.listen == "[::1]:50051"
    with pytest.raises(ConfigError, match=r"only when grafana\.listen is a loopback address"):
        loaded(tmp_path, "false", '{listen: "0.0.0.0:50051"}')


@pytest.mark.parametrize("listen", ["50051", "nowhere", '"a b:1"', '":1"', '"x:y"'])
def test_an_address_that_is_none_is_refused(tmp_path: Path, listen: str) -> None:
    with pytest.raises(ConfigError, match=r"grafana\.listen"):
        loaded(tmp_path, "true", f"{{listen: {listen}}}")
