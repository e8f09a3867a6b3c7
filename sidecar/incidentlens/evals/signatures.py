"""`incidentlens eval signatures`: groups of lines against people's labels and against Drain3, in one run."""

from __future__ import annotations

import io
import statistics
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from incidentlens.bench.measure import alone
from incidentlens.signatures import masks, sign_file
from incidentlens.signatures.scoring import Agreement, agreement

from . import drain, signature_checks
from .intervals import bootstrap
from .labelled_logs import LABELS, LabelledLog, Wrong, events_of, logs_of, wrong_groups
from .section import Context, Failure, Figure, Picture, Section, Table

GA, FGA = 0.93, 0.92
_TEXT = (
    "Systems of the loghub collection, 2,000 lines each; the labels are people's, original and as corrected by later"
    " work. GA: share of lines whose group is exactly the true one. FGA: F1 over groups. No setting differs between"
    " systems. Raw lines are read with their headers; a signature has the level in it, which the labels have not."
)
_NO_PEER = "Drain3 is not installed here: install the extra `dev` for the peer."


@dataclass(frozen=True, slots=True)
class _Way:
    """One way to group a system's lines. `raw`: over raw lines."""

    key: str
    name: str
    peer: str
    raw: bool
    group: Callable[[Sequence[str]], list[str]]


def evaluate(context: Context) -> Section:
    """GA and FGA beside Drain3's, rates on the same lines, what was fitted, memory, and where it fails."""
    title = "Signatures: which lines say the same thing"
    logs = logs_of(context.data / "loghub2k") if context.data else []
    if not logs:
        return Section("signatures", title, skipped="there is no loghub2k in the folder of the public sets")
    ways = [
        _Way("text", "message text", "", False, signature_checks.sign),
        _Way("raw", "raw lines", "", True, _sign_raw),
        _Way("masks", "message text, masks only", "", False, _only_masks),
    ]
    if drain.available():
        ways += [
            _Way("drain_text", "message text", "Drain3, generic masks", False, drain.drain),
            _Way("drain_raw", "raw lines", "Drain3, generic masks", True, drain.drain),
        ]
    answers = {way.key: [way.group(log.raw if way.raw else log.content) for log in logs] for way in ways}
    scores = {key: [_scores(log, answer) for log, answer in zip(logs, of, strict=True)] for key, of in answers.items()}
    figures = [figure for way in ways for figure in _means(way, scores[way.key])]
    figures.append(_gap(scores))
    tables = [_by_system(labels, logs, ways, scores) for labels in LABELS]
    for whole in logs_of(context.data / "loghub2_full") if context.data else []:
        figures += _whole(whole)
    more_figures, table = _rates(logs, 1 if context.quick else 3)
    figures += more_figures
    tables.append(table)
    if not context.quick:
        more_figures, table = _left_out(logs)
        figures += more_figures
        tables.append(table)
        figures += _memory()
    wrong = [
        one
        for log, answer in zip(logs, answers["text"], strict=True)
        for labels in log.truth
        for one in wrong_groups(log, labels, answer)
    ]
    return Section(
        "signatures",
        title,
        text=_TEXT
        + ("" if drain.available() else " Drain3 is not installed here: install the extra `dev` for the peer."),
        figures=figures,
        tables=tables,
        failures=[_failure(one) for one in sorted(wrong, key=lambda one: -one.lines)],
        pictures=_picture(logs, ways, scores),
    )


def _sign_raw(lines: Sequence[str]) -> list[str]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "raw.log"
        path.write_text("".join(line + "\n" for line in lines), "utf-8")
        return [row["signature"] for row in sign_file(path)]


def _only_masks(lines: Sequence[str]) -> list[str]:
    return masks.mask(events_of(lines)["message"]).to_list()


def _scores(log: LabelledLog, answer: Sequence[str]) -> dict[str, Agreement]:
    return {labels: agreement(answer, truth) for labels, truth in log.truth.items()}


Scores = Mapping[str, Sequence[Mapping[str, Agreement]]]


def _means(way: _Way, scores: Sequence[Mapping[str, Agreement]]) -> list[Figure]:
    """Mean GA and FGA over the systems, for each set of labels."""
    aims = way.key == "text"
    figures = []
    for labels in LABELS:
        for measure, aim in (("ga", GA), ("fga", FGA)):
            values = [float(getattr(score[labels], measure)) for score in scores if labels in score]
            mean, (low, high) = statistics.mean(values), bootstrap(values)
            figures.append(
                Figure(
                    f"{measure}_{way.key}_{labels}",
                    f"{measure.upper()}, {way.name}, {labels} labels",
                    mean,
                    low=low,
                    high=high,
                    n=len(values),
                    aim=f"at least {aim}" if aims else "",
                    met=mean >= aim if aims else None,
                    peer=way.peer,
                )
            )
    return figures


def _gap(scores: Scores) -> Figure:
    """How much is lost on raw lines at most, of the four means."""

    def mean(way: str, labels: str, measure: str) -> float:
        return statistics.mean(float(getattr(score[labels], measure)) for score in scores[way])

    worst = max(
        mean("text", labels, measure) - mean("raw", labels, measure) for labels in LABELS for measure in ("ga", "fga")
    )
    return Figure("raw_gap", "lost on raw lines, at most", worst, better="lower", aim="at most 0.03", met=worst <= 0.03)


def _by_system(labels: str, logs: Sequence[LabelledLog], ways: Sequence[_Way], scores: Scores) -> Table:
    columns = ["system"]
    for way in ways:
        who = f"{way.peer or 'ours'}, {way.name}"
        columns += [f"GA {who}", f"FGA {who}"]
    rows: list[list[str | float | int | None]] = []
    for index, log in enumerate(logs):
        row: list[str | float | int | None] = [log.name]
        for way in ways:
            score = scores[way.key][index].get(labels)
            row += [score.ga, score.fga] if score else [None, None]
        rows.append(row)
    return Table(f"By system, {labels} labels", columns, rows)


def _whole(log: LabelledLog) -> list[Figure]:
    ways = [("", signature_checks.sign)]
    if drain.available():
        ways.append(("Drain3, generic masks", drain.drain))
    figures = []
    for peer, group in ways:
        score = agreement(group(log.content), log.truth["original"])
        figures += [
            Figure(
                f"{measure}_whole_{log.name}" + ("_drain" if peer else ""),
                f"{measure.upper()}, the whole log of {log.name}, message text",
                getattr(score, measure),
                n=len(log.content),
                peer=peer,
            )
            for measure in ("ga", "fga")
        ]
    return figures


def _rates(logs: Sequence[LabelledLog], rounds: int) -> tuple[list[Figure], Table]:
    peer = drain.drain if drain.available() else None
    found = {log.name: signature_checks.rates(signature_checks.many(log.content), peer, rounds) for log in logs}
    rows: list[list[str | float | int | None]] = [
        [
            name,
            rate.lines,
            rate.first,
            rate.again,
            rate.peer,
            rate.first / rate.peer if rate.peer else None,
            rate.by_cpu,
        ]
        for name, rate in found.items()
    ]
    columns = [
        "system",
        "lines",
        "ours, never seen",
        "ours, known",
        "Drain3",
        "times Drain3",
        "times, processor seconds",
    ]
    table = Table("Lines a second, message text, one process (each log ten times, digits changed)", columns, rows)
    lines = sum(rate.lines for rate in found.values())
    ours = lines / sum(rate.lines / rate.first for rate in found.values())
    figures = [Figure("rate", "lines a second, never seen", ours, "lines/s", n=lines, noise=0.5)]
    if peer is not None:
        theirs = lines / sum(rate.lines / rate.peer for rate in found.values() if rate.peer)
        least = min(rate.by_cpu for rate in found.values() if rate.by_cpu)
        figures += [
            Figure("rate_drain", "lines a second", theirs, "lines/s", n=lines, peer="Drain3, generic masks", noise=0.5),
            Figure(
                "rate_ratio", "rate, times Drain3", ours / theirs, aim="at least 5", met=ours / theirs >= 5, noise=0.4
            ),
            Figure("rate_ratio_least", "times Drain3 on its best system, by processor seconds", least, noise=0.4),
        ]
    return figures, table


def _left_out(logs: Sequence[LabelledLog]) -> tuple[list[Figure], Table]:
    found = signature_checks.leave_one_out(logs)
    rows: list[list[str | float | int | None]] = [
        [one.log, one.shipped, f"x{one.factor}", one.with_factor, one.with_masks, ", ".join(one.unneeded)]
        for one in found
    ]
    columns = [
        "left out", "as shipped", "words that prove a value", "with these", "without masks no other needs",
        "masks that it alone needs",
    ]  # fmt: skip
    title = "Leave one out: mean of GA and FGA over both labels on the system left out, chosen on the other ones"

    def figure(key: str, name: str, values: list[float]) -> Figure:
        low, high = bootstrap(values)
        return Figure(key, name, statistics.mean(values), low=low, high=high, n=len(values))

    figures = [
        figure("shipped", "mean of GA and FGA, as shipped", [one.shipped for one in found]),
        figure("left_out_words", "… numbers of step 5 chosen on the others", [one.with_factor for one in found]),
        figure("left_out_masks", "… only masks that another system needs", [one.with_masks for one in found]),
    ]
    return figures, Table(title, columns, rows)


def _memory() -> list[Figure]:
    found = alone(signature_checks.memory)
    kept, more = int(found["templates"]), int(found["overflowed"])
    names = {
        "full_mb": f"memory of {kept:,} templates, all words distinct",
        "after_mb": f"… and after {more:,} more lines that are new",
    }
    return [
        Figure(
            f"memory_{key}",
            name,
            found[key],
            "MB",
            better="lower",
            aim="at most 512",
            met=found[key] <= 512,
            noise=0.25,
        )
        for key, name in names.items()
    ]


def _failure(wrong: Wrong) -> Failure:
    shown = " ¦ ".join(part[:90] for part in wrong.parts[:4])
    if len(wrong.parts) > 1:
        got = f"{len(wrong.parts)} groups: {shown}"
    else:
        got = "joined with: " + " ¦ ".join(other[:90] for other in wrong.joined[:4])
    return Failure(f"{wrong.log}, {wrong.labels} labels, {wrong.lines} lines", wrong.template[:120], got)


def _picture(logs: Sequence[LabelledLog], ways: Sequence[_Way], scores: Scores) -> list[Picture]:
    """GA by system as bars: what is missing to 1 is where it fails. None where matplotlib is not installed."""
    try:
        from matplotlib.figure import Figure as Canvas
    except ModuleNotFoundError:
        return []
    canvas = Canvas(figsize=(9, 6), layout="constrained")
    shown = [way for way in ways if way.key != "masks"]
    for labels, axes in zip(LABELS, canvas.subplots(len(LABELS), 1, sharex=True), strict=True):
        for place, way in enumerate(shown):
            values = [score[labels].ga if labels in score else 0.0 for score in scores[way.key]]
            at = [index + (place - (len(shown) - 1) / 2) * 0.2 for index in range(len(logs))]
            colour = f"C{7 + way.raw}" if way.peer else f"C{0 + way.raw}"
            axes.bar(at, values, 0.2, color=colour, label=f"{way.peer or 'ours'}, {way.name}")
        axes.set_ylabel(f"GA, {labels} labels")
        axes.set_ylim(0, 1.02)
        axes.set_xticks(range(len(logs)), [log.name for log in logs])
    canvas.axes[0].legend(ncols=2, loc="lower left", fontsize="small")
    content = io.BytesIO()
    canvas.savefig(content, format="svg", metadata={"Date": None})
    return [Picture("signatures.svg", "Group accuracy by system, ours and Drain3's", content.getvalue())]
