"""A short run of every fuzz target; `make fuzz` runs them for longer, guided by coverage."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

HERE = Path(__file__).resolve().parent
_SPEC = importlib.util.spec_from_file_location("fuzz_targets", HERE / "targets.py")
assert _SPEC is not None
assert _SPEC.loader is not None
targets = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(targets)

# Pieces that formats, masks and grammars look for, so that random text gets behind the first test of each.
PIECES = [
    "2026-03-10T20:58:10.123Z", " stdout P ", "{", "}", '{"level":', '"msg":"', "\\u0000", "level=", "err=", " ---> ",
    "Caused by: ", "Traceback (most recent call last):", '  File "x", line 1', "\tat a.b(c)", "goroutine 1 [", "<11>1 ",
    "E0310 20:58:10.123456 1 a.go:1] ", "[10/Mar/2026:20:58:10 +0000]", "GET /x HTTP/1.1", "0x7f", "\x00", "\x1b[31m",
    "é", "\ud7ff", "(((((", "[[[[", "a.b.c", "<*>", "=", ":", '"', "'", "|= `", "| json", "rate(", "[5m]", "\n", " ",
    "(a+)+$", "(.*){30}", "[", "\\",
]  # fmt: skip
HOSTILE = st.one_of(
    st.lists(st.sampled_from(PIECES), max_size=40).map(lambda parts: "".join(parts).encode("utf-8")),
    st.binary(max_size=300),
)


@pytest.mark.parametrize("name", sorted(targets.TARGETS))
def test_hostile_input_breaks_no_promise(name: str) -> None:
    @settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
    @given(HOSTILE)
    @example(b"")
    @example(b"\xff\xfe\x00" * 30)
    @example(b"[" * 1000 + b"]" * 1000)
    @example(b'{"a":' * 1000 + b"1" + b"}" * 1000)
    @example(b"(a+)+$\n" + b"a" * 5000)
    @example(b"((a{1,100}){1,100}){1,100}\naaaa")
    def run(data: bytes) -> None:
        targets.TARGETS[name](data)

    run()


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("atheris") is None, reason="atheris is not installed here")
def test_the_fuzzer_itself_runs(tmp_path: Path) -> None:
    command = [sys.executable, str(HERE / "run.py"), "logql", "-runs=300", "-max_total_time=20"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr[-2000:]
    assert not list(tmp_path.glob("crash-*"))
