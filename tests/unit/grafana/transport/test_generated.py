"""What is generated from proto/ is what is committed."""

from __future__ import annotations

from importlib import util
from pathlib import Path

ROOT = Path(__file__).parents[4]
PACKAGE = "incidentlens/grafana/pb"


def test_the_generated_code_is_up_to_date(tmp_path: Path) -> None:
    spec = util.spec_from_file_location("generate", ROOT / "proto/generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.generate(tmp_path)
    committed = {path.name: path.read_text() for path in (ROOT / "sidecar" / PACKAGE).glob("*_pb2.py*")}
    fresh = {path.name: path.read_text() for path in (tmp_path / PACKAGE).glob("*_pb2.py*")}
    assert fresh == committed, "run: make proto"
