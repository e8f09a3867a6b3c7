"""What is wrong, or probably not meant, in a set of runbooks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from incidentlens.model import yamlfile
from incidentlens.model.base import Value
from incidentlens.model.yamlfile import YamlError

from .loading import read_runbook, runbook_files
from .markdown import ACTS, ENDINGS, TELLS, sections, slug
from .model import Runbook
from .patterns import PatternError, compile_pattern

# Lines of a healthy service: a pattern that matches several of them matches everything.
_HEALTHY = (
    "",
    "GET /api/orders/42 200 12ms",
    "server started on port 8080",
    "user 17 logged in",
    "processed 120 messages in 340 ms",
    "connected to database orders",
    "health check passed",
    "cache warmed, 1200 keys",
)
# Words that nearly every failure has: a pattern that matches one of them alone says nothing of which failure it is.
_GENERIC = (
    "error",
    "an error occurred",
    "ERROR: failed",
    "exception",
    "warning",
    "timeout",
    "timed out",
    "request failed",
    "failure",
    "500",
    "Internal Server Error",
    "null",
)
_META = set("\\.^$*+?{}[]|()")


class LintIssue(Value):
    """One finding. `level` is `error` (it cannot be used) or `warning`; `line` counts from 1, 0 is the whole file."""

    file: str
    line: int
    key: str
    level: str
    code: str
    message: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        key = f"{self.key}: " if self.key else ""
        return f"{place}: {self.level}: {key}{self.message} [{self.code}]"


class _Loaded(Value):
    file: str
    runbook: Runbook
    lines: tuple[int, ...]  # of each pattern
    id_line: int


def lint(paths: Sequence[str | Path]) -> list[LintIssue]:
    """Every issue of the runbooks there, in the order of the files and their lines. Never raises on bad runbooks."""
    try:
        files = runbook_files(paths)
    except YamlError as error:
        return [_from_yaml(problem) for problem in error.problems]
    issues: list[LintIssue] = []
    loaded: list[_Loaded] = []
    for path in files:
        try:
            runbook, document = read_runbook(path)
        except YamlError as error:
            issues += [_from_yaml(problem) for problem in error.problems]
            continue
        lines = tuple(document.line(("patterns", index)) for index in range(len(runbook.patterns)))
        loaded.append(_Loaded(file=str(path), runbook=runbook, lines=lines, id_line=document.line(("id",))))
        issues += _own_issues(loaded[-1], path)
    issues += _duplicate_ids(loaded)
    issues += _overlaps(loaded)
    if not files:
        where = ", ".join(str(path) for path in paths)
        issues.append(_issue(where, 0, "", "warning", "no-runbooks", "has no .yaml or .md file"))
    return sorted(issues, key=lambda issue: (issue.file, issue.line, issue.code))


def pattern_fault(pattern: str) -> tuple[str, str, str] | None:
    """(level, code, message) where a pattern cannot work or hardly can be meant; None where it is well."""
    try:
        compiled = compile_pattern(pattern)
    except PatternError as error:
        return "error", "pattern-invalid", str(error)
    if compiled.search("") is not None or sum(compiled.search(line) is not None for line in _HEALTHY) >= 3:
        return "error", "pattern-everything", "matches everything, healthy lines too; name what fails"
    if _matches_nothing(pattern, compiled):
        return "error", "pattern-nothing", "can match no text: an anchor (^ or $) stands where it cannot hold"
    generic = next((line for line in _GENERIC if compiled.search(line) is not None), None)
    if generic is not None:
        return "warning", "pattern-broad", f"matches {generic!r}, which nearly every failure has; add what is special"
    if len(pattern.strip()) < 4:
        return "warning", "pattern-broad", "has fewer than 4 characters and will match by chance"
    if pattern != pattern.strip():
        return "warning", "pattern-spaces", "begins or ends with a space, which must then be in the log too"
    return None


def _own_issues(loaded: _Loaded, path: Path) -> list[LintIssue]:
    runbook, file = loaded.runbook, loaded.file
    issues = []
    for index, pattern in enumerate(runbook.patterns):
        key = f"patterns[{index}]"
        fault = pattern_fault(pattern)
        if fault:
            issues.append(_issue(file, loaded.lines[index], key, *fault))
        if pattern.lower() in [other.lower() for other in runbook.patterns[:index]]:
            text = f"{pattern!r} stands here twice"
            issues.append(_issue(file, loaded.lines[index], key, "warning", "pattern-twice", text))
    if path.suffix.lower() in ENDINGS:
        return [*issues, *_markdown_issues(loaded, path)]
    if not runbook.description.strip():
        text = "says nothing; one sentence on what it is and what it does to users helps whoever is woken"
        issues.append(_issue(file, loaded.id_line, "description", "warning", "description-empty", text))
    for index, step in enumerate(runbook.steps):
        if len(step.split()) < 3:
            text = "is empty or too short to act on; say what to look at and what it means"
            issues.append(_issue(file, loaded.id_line, f"steps[{index}]", "error", "step-empty", text))
    if path.stem != runbook.id:
        text = f"the file is named {path.name}; name it {runbook.id}{path.suffix} so that people find it"
        issues.append(_issue(file, loaded.id_line, "id", "warning", "file-name", text))
    threshold = runbook.observe_threshold
    if threshold and threshold.escalate_to is runbook.disposition:
        text = f"escalate_to is {runbook.disposition}, which the runbook has already; the threshold changes nothing"
        issues.append(_issue(file, loaded.id_line, "observe_threshold", "warning", "threshold-idle", text))
    return issues


def _markdown_issues(loaded: _Loaded, path: Path) -> list[LintIssue]:
    """A Markdown runbook is the team's own prose: only what keeps it from being found or used is said."""
    runbook, file = loaded.runbook, loaded.file
    titles = {title.lower() for _, title, _ in sections(runbook.body)}
    issues = []
    if not titles & set(TELLS):
        text = "has no section Meaning (or Description, Summary, Overview): say what fails, in the words of the alert"
        issues.append(_issue(file, 0, "", "warning", "no-meaning", text))
    if not titles & set(ACTS):
        text = "has no section Diagnosis or Mitigation (or Steps, Resolution): no steps can be shown"
        issues.append(_issue(file, 0, "", "warning", "no-steps", text))
    if runbook.patterns and not runbook.decides:
        text = "has patterns, but no severity and disposition beside them: it is shown and decides nothing"
        issues.append(_issue(file, loaded.lines[0], "patterns", "warning", "decides-nothing", text))
    if runbook.id not in (slug(path.stem), path.stem):
        text = f"the file is named {path.name}; name it {runbook.id}{path.suffix} so that people find it"
        issues.append(_issue(file, loaded.id_line, "id", "warning", "file-name", text))
    return issues


def _duplicate_ids(loaded: Sequence[_Loaded]) -> list[LintIssue]:
    first: dict[str, _Loaded] = {}
    issues = []
    for item in loaded:
        other = first.setdefault(item.runbook.id, item)
        if other is not item:
            text = f"{item.runbook.id!r} is also the id of {other.file}:{other.id_line}"
            issues.append(_issue(item.file, item.id_line, "id", "error", "id-twice", text))
    return issues


def _overlaps(loaded: Sequence[_Loaded]) -> list[LintIssue]:
    """Plain patterns that another runbook's pattern matches too: then both match, and chance decides the order."""
    compiled = [
        (item, pattern, compile_pattern(pattern))
        for item in loaded
        for pattern in item.runbook.patterns
        if not (fault := pattern_fault(pattern)) or fault[0] != "error"
    ]
    issues = []
    for item in loaded:
        for index, pattern in enumerate(item.runbook.patterns):
            if _META & set(pattern):
                continue
            for other, other_pattern, regex in compiled:
                if other.runbook.id == item.runbook.id or not _same_services(item.runbook, other.runbook):
                    continue
                if regex.search(pattern) is not None:
                    text = f"{pattern!r} is also matched by {other_pattern!r} of the runbook {other.runbook.id}"
                    issues.append(
                        _issue(item.file, item.lines[index], f"patterns[{index}]", "warning", "pattern-overlap", text)
                    )
                    break
    return issues


def _same_services(one: Runbook, other: Runbook) -> bool:
    return not one.services or not other.services or bool(set(one.services) & set(other.services))


def _matches_nothing(pattern: str, compiled: object) -> bool:
    """A `$` or `^` between other text can hold only with (?m) and a line break, which masked messages rarely have."""
    low, high = compiled.possiblematchrange(8)  # type: ignore[attr-defined]
    if low == high and not low:
        return True
    if "(?m" in pattern:
        return False
    previous = ""
    in_class = escaped = False
    for index, char in enumerate(pattern):
        if escaped:
            escaped, previous = False, "x"
            continue
        if char == "\\":
            escaped = True
            continue
        if in_class:
            in_class = char != "]"
            continue
        if char == "[":
            in_class = True
        misplaced_start = char == "^" and not in_class and previous not in ("", "(", "|", ")", ":", "^")
        misplaced_end = char == "$" and pattern[index + 1 : index + 2] not in ("", ")", "|", "$")
        if misplaced_start or misplaced_end:
            return True
        previous = char
    return False


def _issue(file: str, line: int, key: str, level: str, code: str, message: str) -> LintIssue:
    return LintIssue(file=file, line=line, key=key, level=level, code=code, message=message)


def _from_yaml(problem: yamlfile.YamlProblem) -> LintIssue:
    return _issue(problem.file, problem.line, problem.key, "error", "yaml", problem.message)
