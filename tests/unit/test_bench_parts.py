"""What a machine cannot measure is said, never made up; and CPU is that of the processes that are named."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

from incidentlens.bench import discord, processes
from incidentlens.demo.programs import Programs


def test_without_a_grafana_the_way_to_discord_is_not_measured_and_why_is_said() -> None:
    (figure,) = discord.measure(Programs(), rounds=3)
    assert figure.value is None
    assert figure.met is None
    assert "no grafana program" in figure.conditions
    (figure,) = discord.measure(Programs(note="there is a Grafana, and it is not used: no plugin"), rounds=3)
    assert "no plugin" in figure.conditions


@pytest.mark.skipif(not processes.available(), reason="this system has no /proc")
def test_cpu_time_and_memory_are_those_of_the_process_and_of_what_is_below_it() -> None:
    code = "import time\nheld = bytearray(60_000_000)\nend = time.process_time() + 0.5\n"
    code += "while time.process_time() < end: pass\n"
    waits = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {code + 'time.sleep(60)'!r}])"
    with subprocess.Popen([sys.executable, "-c", waits]) as parent:
        try:
            deadline = time.monotonic() + 60
            while not (found := processes.below(parent.pid)) or processes.cpu_seconds(found[0]) < 0.5:
                assert time.monotonic() < deadline
                time.sleep(0.1)
            (child,) = found
            assert processes.cpu_seconds(child) < 5
            assert 60 < processes.resident_mb(child) < 200
            assert os.getpid() not in found
        finally:
            for pid in processes.below(parent.pid):
                os.kill(pid, 9)
    assert processes.cpu_seconds(parent.pid) == 0.0
