"""Cases written by hand: a few lines with time offsets, what is known besides them, and what ought to come of it.

A file under `evals/<evaluation>/` holds `cases:`, and under `healthy:` the everyday lines that several of them share.
What is expected is the evaluation's own model (`load_cases(folder, RootCauseExpected)`); everything else is the same
for all. docs/analysis.md says how to add one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Generic, Literal, TypeVar

import polars as pl
import xxhash
from pydantic import BeforeValidator, Field, create_model, model_validator

from incidentlens.model.base import Value
from incidentlens.model.clock import HOUR, MINUTE, SECOND
from incidentlens.model.decisions import Deploy, Maintenance
from incidentlens.model.records import LINES, stream_key
from incidentlens.model.terms import ProblemKind
from incidentlens.model.yamlfile import YamlError, read

ZERO = 1_750_000_000 * SECOND  # what `at: 0s` stands for; no case may depend on it
PROJECT = "replay"
_MILLISECOND = SECOND // 1000
_APART = 5 * _MILLISECOND  # between the lines of one entry
_UNITS = {"ms": _MILLISECOND, "s": SECOND, "m": MINUTE, "h": HOUR}
_MAX_LINES = 100_000
_MARKS: dict[str, pl.DataType] = {"arrives": pl.Int64(), "part": pl.String(), "incident": pl.String()}
ExpectT = TypeVar("ExpectT", bound=Value)


def offset(text: Any) -> int:
    """`90s`, `-5m`, `250ms`, `1h` as ns. ValueError for anything else."""
    said = str(text).strip()
    number = said.rstrip("hms")
    try:
        return round(float(number) * _UNITS[said[len(number) :]])
    except (KeyError, ValueError):
        raise ValueError(f"{said!r} is no time: write 90s, -5m, 250ms or 1h") from None


Offset = Annotated[int, BeforeValidator(offset)]


class Entry(Value):
    """Lines that are written together, `times` times, `every` so often.

    Each of `say` is `service: text`; they follow one another by 5 ms. In texts and in `trace`, `{n}` is the number of
    the repetition, `{hex}` eight hex digits and `{ms}` a number from 10 to 99, both made of it. `incident` is the
    name of the one that the lines belong to (clustering); `late` is how long after its time a line arrives (verifier).
    """

    at: Offset
    say: tuple[str, ...] = Field(min_length=1)
    every: Offset = 0
    times: int = Field(default=1, ge=1, le=20_000)
    trace: str = ""
    labels: Mapping[str, str] = Field(default_factory=dict)
    incident: str = ""
    late: Offset = 0

    @model_validator(mode="after")
    def _whole(self) -> Entry:
        for text in self.say:
            service, colon, said = text.partition(": ")
            if not colon or not said.strip() or " " in service:
                raise ValueError(f"each line is 'service: text', not {text[:60]!r}")
        if self.times > 1 and self.every <= 0:
            raise ValueError("'times' needs 'every', such as 'every: 2s'")
        return self


class DeployAt(Value):
    """A deploy or change that was announced; `until`: planned, and the service's failures up to then are expected."""

    service: str
    at: Offset
    version: str = ""
    text: str = ""
    until: Offset | None = None


class MaintenanceAt(Value):
    """A window of maintenance; without `services` of all, without `kinds` of every kind of problem."""

    since: Offset
    until: Offset
    services: tuple[str, ...] = ()
    reason: str = "maintenance"
    kinds: tuple[ProblemKind, ...] = ()


class JudgedAt(Value):
    """What people say, at that time, of every incident that has a problem in `service`."""

    at: Offset
    service: str
    by: tuple[str, ...] = Field(min_length=1)
    verdict: Literal["noise", "right_cause", "wrong_cause"] = "noise"


class Away(Value):
    """A time in which Loki answers nothing; what was written meanwhile comes afterwards."""

    since: Offset
    until: Offset


class Inputs(Value):
    """What a case gives. `clocks` are by how much a service's clock is ahead (or behind, with a minus).

    `policy`: what differs from the default policy; `noise`: patterns of the project's noise rules. Root causes are
    asked without policy, noise, words of people and outages.
    """

    name: str = Field(min_length=5)
    family: str = Field(min_length=2)
    note: str = ""
    healthy: str | tuple[Entry, ...] = ()  # everyday lines: entries, or the name of some of the file
    lines: tuple[Entry, ...] = ()
    clocks: Mapping[str, Offset] = Field(default_factory=dict)
    dependencies: Mapping[str, tuple[str, ...]] = Field(default_factory=dict)
    deploys: tuple[DeployAt, ...] = ()
    maintenance: tuple[MaintenanceAt, ...] = ()
    policy: Mapping[str, Any] = Field(default_factory=dict)
    noise: tuple[str, ...] = ()
    judged: tuple[JudgedAt, ...] = ()
    away: tuple[Away, ...] = ()


@dataclass(frozen=True, slots=True)
class Case(Generic[ExpectT]):
    """One case, ready to be replayed: frames of LINES, in order of time.

    `marks` says of each row of `records` when it `arrives` (ns), which `part` of the case wrote it (entry and place
    in its `say`; "" for everyday lines) and to which `incident` it belongs ("": none).
    """

    id: str  # the file's name and the case's place in it: `silent/3`
    inputs: Inputs
    expect: ExpectT
    baseline: pl.DataFrame
    records: pl.DataFrame
    marks: pl.DataFrame

    @property
    def deploys(self) -> list[Deploy]:
        return [
            Deploy(
                id=f"d{number}",
                project=PROJECT,
                service=one.service,
                at=ZERO + one.at,
                version=one.version,
                text=one.text,
                planned_until=None if one.until is None else ZERO + one.until,
            )
            for number, one in enumerate(self.inputs.deploys)
        ]

    @property
    def maintenance(self) -> list[Maintenance]:
        return [
            Maintenance(
                id=f"m{number}",
                project=PROJECT,
                services=one.services,
                starts_at=ZERO + one.since,
                ends_at=ZERO + one.until,
                reason=one.reason,
                kinds=one.kinds,
            )
            for number, one in enumerate(self.inputs.maintenance)
        ]


def load_cases(folder: Path, expected: type[ExpectT]) -> list[Case[ExpectT]]:
    """Every case of the `*.yaml` in `folder`, in order. Raises YamlError, which names file, line and key."""
    found = [case for path in sorted(folder.glob("*.yaml")) for case in load_file(path, expected)]
    if not found:
        raise YamlError(str(folder), 0, "", "holds no cases; they are *.yaml with a list 'cases:'")
    return found


def load_file(path: Path, expected: type[ExpectT]) -> list[Case[ExpectT]]:
    """The cases of one file. Raises YamlError."""
    one = create_model("OneCase", __base__=Inputs, expect=(expected, ...))
    whole = create_model(
        "CaseFile",
        __base__=Value,
        cases=(tuple[one, ...], ...),  # type: ignore[valid-type]
        healthy=(Mapping[str, tuple[Entry, ...]], Field(default_factory=dict)),
    )
    document = read(path)
    file: Any = document.validate(whole)
    if not file.cases:
        raise document.error(("cases",), "must not be empty")
    names: dict[str, int] = {}
    cases = []
    for number, case in enumerate(file.cases):
        place = ("cases", number)
        if case.name in names:
            raise document.error((*place, "name"), f"is the name of case {names[case.name] + 1} too")
        names[case.name] = number
        healthy = case.healthy
        if isinstance(healthy, str):
            if healthy not in file.healthy:
                known = ", ".join(file.healthy) or "none"
                raise document.error((*place, "healthy"), f"names no everyday lines of this file; there are: {known}")
            healthy = file.healthy[healthy]
        if not case.lines and not healthy:
            raise document.error(place, "has neither 'lines' nor 'healthy'")
        # What is everyday goes on while the fault lasts; only what came before it is learnt from.
        everyday = _frame(healthy, {}).with_columns(part=pl.lit(""))
        before, during = everyday.filter(pl.col("ts") < ZERO), everyday.filter(pl.col("ts") >= ZERO)
        told = pl.concat([during, _frame(case.lines, case.clocks)]).sort("ts", maintain_order=True)
        records, marks = told.select(list(LINES)), told.select("arrives", "part", "incident")
        cases.append(Case(f"{path.stem}/{number + 1}", case, case.expect, before.select(list(LINES)), records, marks))
    return cases


def _frame(entries: Sequence[Entry], clocks: Mapping[str, int]) -> pl.DataFrame:
    """Entries as LINES with their marks, in order of time. ValueError where they are more than a case may have."""
    rows: list[tuple[int, str, str, str | None, str, int, str, str]] = []
    for place, entry in enumerate(entries):
        for n in range(entry.times):
            trace = xxhash.xxh3_128(_filled(entry.trace, n).encode()).hexdigest() if entry.trace else ""
            metadata = stream_key({"trace_id": trace}) if trace else None
            for index, text in enumerate(entry.say):
                service, _, said = text.partition(": ")
                ts = ZERO + entry.at + n * entry.every + index * _APART + clocks.get(service, 0)
                stream = stream_key({"service": service, **entry.labels})
                line = (ts, service, stream, metadata, _filled(said, n))
                rows.append((*line, ts + entry.late, f"{place}.{index}", entry.incident))
        if len(rows) > _MAX_LINES:
            raise ValueError(f"a case has at most {_MAX_LINES:,} lines")
    return pl.DataFrame(rows, schema=LINES | _MARKS, orient="row").sort("ts", maintain_order=True)


def _filled(text: str, n: int) -> str:
    if "{" not in text:
        return text
    digest = xxhash.xxh3_64(str(n).encode()).hexdigest()
    return text.replace("{n}", str(n)).replace("{hex}", digest[:8]).replace("{ms}", str(10 + int(digest, 16) % 90))
