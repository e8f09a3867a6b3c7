"""`incidentlens eval latency`: from records in to an incident that is analysed and decided on."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence

from .intervals import bootstrap, share
from .reference import LINES_A_SECOND, MEDIAN_INVESTIGATION_S, NAME, P95_RUN_S
from .scenario_runs import RATE, Run, runs
from .section import Context, Figure, Section, Table

_SEEDS, _SEEDS_QUICK = (1, 2, 3), (1,)

_TEXT = f"""
The four scenarios at {RATE:.0f} everyday lines a second through the sidecar's ticks, the store in memory, no model
asked. *Time to investigate*: of the wall, the whole tick that read and signed the records, found the incident, ranked
its causes, gathered evidence, analysed and decided. *A run*: any tick with records. *To detect*: on the log's clock,
from the fault's first record; ticks come every 5 s. Beside it what {NAME}: {MEDIAN_INVESTIGATION_S} s for
a median investigation, {P95_RUN_S} s for a run at P95, {LINES_A_SECOND} lines a second. Those were not measured here,
and ask a model.
"""


def evaluate(context: Context) -> Section:
    """Over the scenarios and seeds."""
    played = runs(_SEEDS_QUICK if context.quick else _SEEDS)
    investigated = [took for run in played for took in run.investigated]
    ticks = [took for run in played for took in run.ticks]
    found = [run.detected_s for run in played if run.detected_s is not None]
    figures = [
        share("found", "runs in which somebody was told", len(found), len(played)),
        _of("investigate_median", "time to investigate, median", investigated, statistics.median),
        _of("investigate_p95", "time to investigate, P95", investigated, p95),
        Figure("published_median", "median investigation", MEDIAN_INVESTIGATION_S, "s", better="", peer=NAME),
        _of("run_p95", "a run, P95", ticks, p95),
        Figure("published_run_p95", "run, P95", P95_RUN_S, "s", better="", peer=NAME),
        _of("detect_median", "to detect, median (log's clock)", found, statistics.median),
        _of("detect_p95", "to detect, P95 (log's clock)", found, p95),
        Figure("lines", "lines a second of a busy core", _rate(played), "lines/s", noise=0.5),
        Figure("published_lines", "lines a second", LINES_A_SECOND, "lines/s", better="", peer=NAME),
    ]
    return Section("latency", "Time to investigate", _TEXT, figures, [_by_scenario(played)])


def p95(values: Sequence[float]) -> float:
    """The smallest value that 95 % do not exceed (nearest rank). ValueError where there are none."""
    if not values:
        raise ValueError("no values")
    ordered = sorted(values)
    return ordered[-(-95 * len(ordered) // 100) - 1]


def _of(key: str, name: str, values: Sequence[float], of: Callable[[Sequence[float]], float]) -> Figure:
    """Seconds with a bootstrap interval; nothing measured is a failure to measure, not a zero."""
    low, high = bootstrap(values, of)
    return Figure(key, name, of(values), "s", low, high, len(values), better="lower", noise=0.5)


def _rate(played: Sequence[Run]) -> float:
    return sum(run.records for run in played) / sum(sum(run.ticks) for run in played)


def _by_scenario(played: Sequence[Run]) -> Table:
    rows: list[list[str | float | int | None]] = []
    for name in dict.fromkeys(run.name for run in played):
        own = [run for run in played if run.name == name]
        took = [seconds for run in own for seconds in run.investigated]
        detected = [run.detected_s for run in own if run.detected_s is not None]
        rows.append(
            [
                name,
                len(own),
                statistics.median(took) if took else None,
                max(took, default=None),
                statistics.median(detected) if detected else None,
            ]
        )
    return Table("By scenario", ["scenario", "runs", "investigate, median s", "longest s", "to detect, median s"], rows)
