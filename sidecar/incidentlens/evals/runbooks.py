"""Runbook matching: 108 public ones by alert messages without the alerts' names, our own on the scenarios' errors.

The messages (`evals/runbooks/alert_messages.yaml`) were written for this: what a notification says, in other words than
the runbooks. A second, harder set needs no words of ours: each runbook's own Meaning section asks, and is taken out of
all the runbooks that are asked.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from incidentlens.config.loader import builtin_runbooks
from incidentlens.model import yamlfile
from incidentlens.model.incidents import Incident, Membership, Problem, Sample, ScoreParts
from incidentlens.model.terms import Disposition, Level, ProblemKind, Severity, Status
from incidentlens.model.yamlfile import YamlError
from incidentlens.runbooks import Matcher, Runbook, load_runbooks
from incidentlens.runbooks import semantic as vectors
from incidentlens.runbooks.likeness import Likeness
from incidentlens.runbooks.text import words
from incidentlens.scenarios.errors import ERRORS, ROUTINE, Draw, ErrorType

from .intervals import share
from .section import Context, Failure, Figure, Section, Table

AIM = 0.80
SAMPLES = 8  # lines drawn of each error type
_MEANING = re.compile(r"^##\s+Meaning\s*\n(.*?)(?=^##\s|\Z)", re.MULTILINE | re.DOTALL | re.IGNORECASE)

# Lines of a healthy service have no runbook either.
_ROUTINE = tuple(
    ErrorType(name=f"routine {number}", family="routine", services=(service,), logger=logger, text=text, covered=False)
    for number, (service, logger, text) in enumerate(ROUTINE)
)

Ranking = Callable[[str], list[str]]  # a text -> ids of runbooks, best first


def evaluate(context: Context) -> Section:
    """Both parts; the public one only where the public sets are."""
    tables, failures, text = [], [], []
    figures: list[Figure] = []
    public = context.data / "runbooks_prometheus" if context.data else None
    if public is not None and public.is_dir():
        runbooks = load_runbooks([public])
        try:
            asked = _messages(context.cases / "runbooks" / "alert_messages.yaml", runbooks)
        except YamlError as error:
            asked = {}
            text.append(f"The alert messages cannot be read: {error}.")
        if asked:
            ranked = _methods(runbooks)
            figures += _hits("message", "alert messages", asked, ranked, aim=True)
            best = "fused" if "fused" in ranked else "bm25"
            failures += _failed(asked, ranked[best])
            tables.append(_calibration(asked, runbooks))
            text.append(_shared_text(asked, runbooks))
        meanings, rest = _meanings(runbooks)
        figures += _hits("meaning", "Meaning sections, taken out of the runbooks", meanings, _methods(rest), aim=False)
    else:
        text.append("The public runbooks are not on this machine; only our own are measured.")
    if not vectors.available():
        text.append("The semantic extra is not installed, so embeddings and their fusion are not measured here.")
    own, missed = _own(load_runbooks([builtin_runbooks()]))
    return Section(
        name="runbooks",
        title="Runbook matching",
        text=" ".join((_WHAT, *text)),
        figures=[*figures, *own],
        tables=tables,
        failures=[*failures, *missed],
    )


_WHAT = (
    "108 runbooks of prometheus-operator/runbooks; each asked for by its alert's message, written for this evaluation "
    "without the alert's name. The plain baseline shares whole words, unweighted. Then our own runbooks over lines of "
    "the scenarios' error types; those that no runbook covers must match none."
)


def _methods(runbooks: Sequence[Runbook]) -> dict[str, Ranking]:
    """Every method that can run here, the baseline first."""
    ids = [runbook.id for runbook in runbooks]
    plain = [frozenset(words(f"{runbook.name} {runbook.body}")) for runbook in runbooks]
    lexical = Likeness(runbooks, use_semantic=False)

    def overlap(text: str) -> list[str]:
        asked = frozenset(words(text))
        scores = [len(asked & has) / max(len(asked | has), 1) for has in plain]
        return [ids[index] for index in sorted(range(len(ids)), key=lambda index: -scores[index])]

    def bm25(text: str) -> list[str]:
        return [ids[found.runbook] for found in lexical.match(text, len(ids))]

    methods: dict[str, Ranking] = {"overlap": overlap, "bm25": bm25}
    if vectors.available():
        fused = Likeness(runbooks, use_semantic=True)
        fused.prepare()
        methods["embeddings"] = lambda text: [
            ids[found.runbook] for found in sorted(fused.match(text, len(ids)), key=lambda found: -(found.cosine or 0))
        ]
        methods["fused"] = lambda text: [ids[found.runbook] for found in fused.match(text, len(ids))]
    return methods


def _hits(
    key: str, name: str, asked: Mapping[str, str], methods: Mapping[str, Ranking], *, aim: bool
) -> Iterator[Figure]:
    best = "fused" if "fused" in methods else "bm25"
    for method, ranking in methods.items():
        ranked = {runbook_id: ranking(text) for runbook_id, text in asked.items()}
        first = sum(found[:1] == [runbook_id] for runbook_id, found in ranked.items())
        three = sum(runbook_id in found[:3] for runbook_id, found in ranked.items())
        peer = "shared words" if method == "overlap" else ""
        wanted: dict[str, Any] = (
            {"aim": f">= {AIM:.2f}", "met": first / len(asked) >= AIM} if aim and method == best else {}
        )
        yield share(f"{key}_{method}_hit1", f"hit@1, {name}, {method}", first, len(asked), peer=peer, **wanted)
        yield share(f"{key}_{method}_hit3", f"hit@3, {name}, {method}", three, len(asked), peer=peer)


def _messages(path: Path, runbooks: Sequence[Runbook]) -> dict[str, str]:
    """By runbook id. Raises YamlError where a message is of no runbook."""
    document = yamlfile.read(path)
    by_stem = {Path(runbook.source).stem: runbook.id for runbook in runbooks}
    found = {}
    for stem, text in (document.data or {}).items():
        if stem not in by_stem:
            raise document.error((stem,), "is the name of no runbook's file")
        found[by_stem[stem]] = str(text)
    return found


def _meanings(runbooks: Sequence[Runbook]) -> tuple[dict[str, str], list[Runbook]]:
    """The Meaning sections without the words of the name, and the runbooks without those sections."""
    asked, rest = {}, []
    for runbook in runbooks:
        found = _MEANING.search(runbook.body)
        if found:
            asked[runbook.id] = " ".join(found.group(1).replace(Path(runbook.source).stem, "").split())
        body = _MEANING.sub("", runbook.body)
        rest.append(runbook.model_copy(update={"body": body, "description": ""}))
    return {key: text for key, text in asked.items() if words(text)}, rest


def _shared_text(asked: Mapping[str, str], runbooks: Sequence[Runbook]) -> str:
    """How many runs of six words a message has in common with its runbook: it should be next to none."""
    bodies = {runbook.id: _grams(runbook.body) for runbook in runbooks}
    copied = sum(bool(_grams(text) & bodies[runbook_id]) for runbook_id, text in asked.items())
    return f"{copied} of {len(asked)} messages share six words in a row with their runbook."


def _grams(text: str, length: int = 6) -> set[tuple[str, ...]]:
    found = re.findall(r"[a-z]+", text.lower())
    return {tuple(found[index : index + length]) for index in range(len(found) - length + 1)}


def _calibration(asked: Mapping[str, str], runbooks: Sequence[Runbook]) -> Table:
    """Score by score, how often the best match is right; each message is asked with its runbook there, and without."""
    whole = Likeness(runbooks)
    outcomes: list[tuple[float, bool]] = []
    ids = [runbook.id for runbook in runbooks]
    for runbook_id, text in asked.items():
        matches = whole.match(text, 2)
        outcomes += [(found.score, ids[found.runbook] == runbook_id) for found in matches[:1]]
        # Without its runbook the best of the others is what would be shown, and is wrong.
        outcomes += [(found.score, False) for found in matches if ids[found.runbook] != runbook_id][:1]
    rows: list[list[str | float | int | None]] = []
    for low in (0.0, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8):
        high = 1.01 if low == 0.8 else 0.3 if low == 0 else low + 0.1
        right = [good for score, good in outcomes if low <= score < high]
        rows.append([f"{low:.1f} to {min(high, 1):.1f}", len(right), sum(right) / len(right) if right else None])
    return Table(
        "What a text's score means: half of the messages have no runbook here", ["score", "best", "right"], rows
    )


def _failed(asked: Mapping[str, str], ranking: Ranking) -> list[Failure]:
    failures = []
    for runbook_id, text in asked.items():
        first = ranking(text)[:1]
        if first != [runbook_id]:
            failures.append(Failure(text, runbook_id, first[0] if first else "none"))
    return failures


def _own(runbooks: Sequence[Runbook]) -> tuple[list[Figure], list[Failure]]:
    """Our runbooks on lines drawn of the scenarios' error types."""
    matcher = Matcher(runbooks)
    hits = covered = false_pattern = false_any = uncovered = 0
    failures = []
    for kind in (*ERRORS, *_ROUTINE):
        for number in range(SAMPLES):
            line = kind.text.format_map(Draw(random.Random(number)))
            matches = matcher.match(_incident(kind, line))
            if kind.covered:
                covered += 1
                hits += bool(matches) and matches[0].by == "patterns"
                if not matches and not number:
                    failures.append(Failure(line[:200], "a runbook", "none"))
            else:
                uncovered += 1
                false_pattern += any(match.by == "patterns" for match in matches)
                false_any += bool(matches)
                if matches and not number:
                    failures.append(Failure(line[:200], "none", f"{matches[0].runbook_id}, by {matches[0].by}"))
    return [
        share("own_hit_rate", "our runbooks: lines that have one and match by pattern", hits, covered),
        share("own_false", "lines without a runbook that match a pattern", false_pattern, uncovered, better="lower"),
        share("own_false_any", "the same, matches by text too", false_any, uncovered, better="lower"),
    ], failures


def _incident(kind: ErrorType, line: str) -> Incident:
    """One problem of that line, as it would be found."""
    service = kind.services[0] if kind.services else "shop"
    sample = Sample(id="r_1", ts=1, service=service, stream="{}", level=Level.ERROR, line=line, message=line)
    problem = Problem(
        id="p_1", project="eval", service=service, signature=f"{service}:ERROR:problem#1", template=line,
        level=Level.ERROR, kind=ProblemKind.SPIKE, onset=1, last_seen=1, count=40, baseline_per_minute=0.0,
        rate_per_minute=20.0, score=10.0, parts=ScoreParts(severity_weight=1, spike_ratio=1, criticality=1),
        why="40 in 2 min", samples=(sample,),
    )  # fmt: skip
    return Incident(
        id="inc_1", project="eval", title="a problem", service=service, status=Status.OPEN, severity=Severity.HIGH,
        disposition=Disposition.OBSERVE, confidence=0.5, onset=1, opened_at=1, last_seen=1, updated_at=1, count=40,
        problems=(problem,), members=(Membership(problem_id="p_1", why="first"),),
    )  # fmt: skip
