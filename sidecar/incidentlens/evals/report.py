"""Sections as one Markdown page, and as JSON that a later run can be compared with."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson

from .headline import NOTE, TITLE, headline
from .section import Failure, Figure, Section, Table

_SHOWN_FAILURES = 25


def write(path: Path, sections: Sequence[Section], machine: dict[str, Any], command: str) -> None:
    """The page at `path`, its figures beside it as `report.json`, its pictures in `pictures/`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(markdown(sections, machine, command), "utf-8")
    path.with_name("report.json").write_bytes(as_json(sections, machine, command))
    for picture in (picture for section in sections for picture in section.pictures):
        folder = path.parent / "pictures"
        folder.mkdir(exist_ok=True)
        (folder / picture.name).write_bytes(picture.content)


def as_json(sections: Sequence[Section], machine: dict[str, Any], command: str) -> bytes:
    found = {"command": command, "machine": machine, "sections": [section.as_json() for section in sections]}
    return orjson.dumps(found, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def markdown(sections: Sequence[Section], machine: dict[str, Any], command: str) -> str:
    """The whole page. It is generated: whoever edits it by hand loses that at the next run."""
    lines = [
        "# Evaluation",
        "",
        f"Written by `{command}` on {machine['at'][:10]}, {machine['cores']} cores of {machine['cpu']}, Python"
        f" {machine['python']}. Not to be edited: run the command again.",
        "",
        "Brackets are 95 % intervals. A confident wrong answer is worse than none and is counted by itself.",
        "",
        *_headline(sections),
        *_misses(sections),
    ]
    for section in sections:
        lines += _section(section)
    return "\n".join(lines).rstrip() + "\n"


def _headline(sections: Sequence[Section]) -> list[str]:
    texts = {f"{section.name}/{f.key}": value(f) for section in sections for f in section.figures if not f.peer}
    table = headline(sections, texts)
    return [f"## {TITLE}", "", *_table(table), NOTE, ""] if table else []


def _misses(sections: Sequence[Section]) -> list[str]:
    failed = [f"- {section.title}: {' '.join(section.failed.split())}" for section in sections if section.failed]
    missed = [
        f"- {section.title}: {figure.name} is {value(figure)}, aim {figure.aim}"
        for section in sections
        for figure in section.figures
        if figure.met is False
    ]
    return [
        *(["## Evaluations that failed", "", *failed, ""] if failed else []),
        *(["## Aims that are not reached", "", *missed, ""] if missed else []),
    ]


def _section(section: Section) -> list[str]:
    lines = [f"## {section.title}", "", f"`incidentlens eval {section.name}`", ""]
    if section.failed:
        return [*lines, f"**Failed**: {' '.join(section.failed.split())}", ""]
    if section.skipped:
        return [*lines, f"Not measured: {section.skipped}", ""]
    if section.text:
        lines += [section.text.strip(), ""]
    if section.figures:
        lines += _table(
            Table(
                "",
                ["figure", "value", "of", "aim"],
                [[_name(figure), value(figure), figure.n, _aim(figure)] for figure in section.figures],
            )
        )
    for table in section.tables:
        lines += _table(table)
    for picture in section.pictures:
        lines += [f"![{picture.alt}](pictures/{picture.name})", ""]
    lines += _failures(section.failures)
    return lines


def _failures(failures: Sequence[Failure]) -> list[str]:
    if not failures:
        return []
    rows: list[list[str | float | int | None]] = [
        [failure.case, failure.expected, failure.got, "yes" if failure.confident else ""]
        for failure in failures[:_SHOWN_FAILURES]
    ]
    more = len(failures) - len(rows)
    lines = _table(Table("Where it fails", ["case", "expected", "got", "confident"], rows))
    return [*lines, f"and {more} more", ""] if more else lines


def _name(figure: Figure) -> str:
    return f"{figure.name} ({figure.peer})" if figure.peer else figure.name


def _aim(figure: Figure) -> str:
    return figure.aim + ("" if figure.met is None else ", met" if figure.met else ", **not met**")


def value(figure: Figure) -> str:
    """The value with its unit and its interval."""
    text = f"{_number(figure.value)} {figure.unit}".strip()
    if figure.low is None or figure.high is None:
        return text
    return f"{text} [{_number(figure.low)}, {_number(figure.high)}]"


def _number(number: float) -> str:
    if number == int(number) and abs(number) >= 2:
        return f"{int(number):,}"
    return f"{number:,.0f}" if abs(number) >= 1000 else f"{number:.1f}" if abs(number) >= 100 else f"{number:.3f}"


def _table(table: Table) -> list[str]:
    lines = [f"### {table.title}", ""] if table.title else []
    lines.append("| " + " | ".join(map(_cell, table.columns)) + " |")
    lines.append("|" + "---|" * len(table.columns))
    lines += ["| " + " | ".join(map(_cell, row)) + " |" for row in table.rows]
    return [*lines, ""]


def _cell(cell: str | float | int | None) -> str:
    if cell is None:
        return ""
    if isinstance(cell, int):
        return f"{cell:,}"
    text = _number(cell) if isinstance(cell, float) else " ".join(str(cell).split())
    return text.replace("|", "\\|").replace("<", "&lt;")
