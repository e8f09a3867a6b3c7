"""`incidentlens signatures`: which lines say the same thing, why, and what other rules would change."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from .console import answer, fail, print_json, print_json_lines, talk, unusable
from .files import must_exist

if TYPE_CHECKING:
    import polars as pl

    from incidentlens.model.signatures import SignatureRules

_EXAMPLES = 3


def register(app: typer.Typer) -> None:
    app.command("signatures")(signatures)


def signatures(
    file: Path = typer.Argument(help="A log file, one record a line; .gz too; - for standard input."),
    as_json: bool = typer.Option(False, "--json", help='Per line: {"line", "signature", "template"}.'),
    rules: Path | None = typer.Option(None, "--rules", help="A file of masks, groups and noise, in force now."),
    preview: Path | None = typer.Option(None, "--preview", help="Such a file: what it would change."),
    explain: int | None = typer.Option(None, "--explain", help="Explain this line (from 1)."),
) -> None:
    """Group a file's lines by signature."""
    from incidentlens.model.signatures import SignatureRules
    from incidentlens.model.yamlfile import YamlError
    from incidentlens.signatures import load_rules, sign_file

    must_exist(file)
    try:
        in_force = load_rules(rules) if rules else SignatureRules()
        proposed = load_rules(preview) if preview else None
    except YamlError as error:
        fail(str(error))
    try:
        if proposed is not None:
            _preview(file, in_force, proposed, as_json)
        elif explain is not None:
            _explain(file, in_force, explain, as_json)
        elif as_json:
            print_json_lines(sign_file(file, in_force))
        else:
            _table(file, in_force)
    except OSError as error:
        fail(f"cannot read {file}: {error.strerror or error}")


def _table(file: Path, rules: SignatureRules) -> None:
    from incidentlens.signatures import sign_file

    counts: Counter[str] = Counter()
    templates: dict[str, str] = {}
    for row in sign_file(file, rules):
        counts[row["signature"]] += 1
        templates[row["signature"]] = row["template"]
    for signature, count in counts.most_common():
        answer.print(f"{count:>8}  {signature}\n          {templates[signature][:200]}", markup=False)
    talk.print(f"{sum(counts.values())} lines, {len(counts)} signatures")


def _events(file: Path) -> pl.DataFrame:
    import polars as pl

    from incidentlens.intake.files import read_records
    from incidentlens.intake.reading import EventReader
    from incidentlens.model.records import EVENTS, empty

    reader = EventReader()
    frames = [reader.read(lines) for lines in read_records(file)]
    return pl.concat(frames) if frames else empty(EVENTS)


def _preview(file: Path, before: SignatureRules, after: SignatureRules, as_json: bool) -> None:
    from incidentlens.signatures import preview

    changes = preview(before, after, _events(file))
    if as_json:
        print_json([change.model_dump() for change in changes])
        return
    for change in changes:
        answer.print(f"{change.kind}: {change.count} records", markup=False)
        for name in change.before:
            answer.print(f"  - {name}", markup=False)
        for name in change.after:
            answer.print(f"  + {name}", markup=False)
        for example in change.examples[:_EXAMPLES]:
            answer.print(f"      {example[:160]}", markup=False)
    if not changes:
        talk.print("these rules change nothing here")


def _explain(file: Path, rules: SignatureRules, number: int, as_json: bool) -> None:
    import polars as pl

    from incidentlens.model.terms import Level
    from incidentlens.signatures import Catalogue

    events = _events(file)
    # Lines are counted over the whole file, whatever batches it was read in.
    spans = (pl.col("last") - pl.col("first") + 1).cum_sum()
    row = events.with_columns(spans.alias("upto")).filter(pl.col("upto") >= number).head(1).to_dicts()
    if number < 1 or not row:
        unusable(f"{file} has no line {number}")
    catalogue = Catalogue(rules=rules)
    catalogue.sign(events)
    found = row[0]
    explanation = catalogue.explain(found["message"], Level(found["level"]), found["exception"], found["service"])
    if as_json:
        print_json(explanation.model_dump())
        return
    answer.print(f"signature  {explanation.signature}\ntemplate   {explanation.template}", markup=False)
    answer.print(f"level      {explanation.level}\ntext       {explanation.text[:300]}", markup=False)
    for name, what, after in explanation.masks:
        answer.print(f"mask       {name} ({what}): {after[:200]}", markup=False)
    for reason in explanation.reasons:
        answer.print(f"because    {reason}", markup=False)
