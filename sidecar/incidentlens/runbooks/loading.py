"""Runbooks from files and folders of YAML and Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from incidentlens.model import yamlfile
from incidentlens.model.yamlfile import Document, YamlError

from .markdown import ENDINGS, is_runbook, load_markdown
from .model import Runbook, YamlRunbook
from .patterns import PatternError, compile_pattern

MAX_FILES = 2_000


def runbook_files(paths: Iterable[str | Path]) -> list[Path]:
    """The YAML and Markdown files that those files and folders (searched to any depth) stand for, sorted, each once.

    Raises YamlError where a path is not there, or where there are more than 2,000 files.
    """
    files: dict[Path, None] = {}
    for given in paths:
        path = Path(given)
        if path.is_dir():
            inside = [file for ending in ("*.yaml", "*.yml") for file in path.rglob(ending)]
            inside += [file for ending in ENDINGS for file in path.rglob(f"*{ending}") if is_runbook(file)]
            files.update(
                dict.fromkeys(
                    sorted(
                        file
                        for file in inside
                        if file.is_file() and not any(part.startswith(".") for part in file.relative_to(path).parts)
                    )
                )
            )
        elif path.is_file():
            files[path] = None
        else:
            raise YamlError(path, 0, "", "is not there; name a runbook file or a folder of them")
        if len(files) > MAX_FILES:
            raise YamlError(path, 0, "", f"has more than {MAX_FILES:,} files; name the folder of the runbooks alone")
    return list(files)


def load_runbook(path: str | Path) -> Runbook:
    """One runbook. Raises YamlError with file, line, key and what is allowed; a pattern RE2 refuses is one too."""
    runbook, document = read_runbook(path)
    _check_patterns(runbook, document)
    return runbook


def read_runbook(path: str | Path) -> tuple[Runbook, Document]:
    """A runbook whose patterns are not looked at yet, with the lines of its keys. Raises YamlError."""
    if Path(path).suffix.lower() in ENDINGS:
        return load_markdown(path)
    document = yamlfile.read(path)
    runbook = Runbook(**document.validate(YamlRunbook).model_dump())
    return runbook.model_copy(update={"source": str(path)}), document


def _check_patterns(runbook: Runbook, document: Document) -> None:
    for index, pattern in enumerate(runbook.patterns):
        try:
            compile_pattern(pattern)
        except PatternError as error:
            raise document.error(("patterns", index), str(error)) from error


def load_runbooks(paths: Sequence[str | Path]) -> list[Runbook]:
    """Every runbook of those files and folders, ordered by id.

    Raises YamlError for the first file that cannot be used (its `problems` has the problems of all the files), and
    for two runbooks of one id.
    """
    found: dict[str, Runbook] = {}
    problems: list[yamlfile.YamlProblem] = []
    for path in runbook_files(paths):
        try:
            runbook, document = read_runbook(path)
            _check_patterns(runbook, document)
        except YamlError as error:
            problems += error.problems
            continue
        other = found.get(runbook.id)
        if other is not None:
            text = f"{runbook.id!r} is also the id of {other.source}; ids must differ"
            problems.append(yamlfile.YamlProblem(str(path), document.line(("id",)), "id", text))
            continue
        found[runbook.id] = runbook
    if problems:
        first, *others = problems
        raise YamlError(*first, others=others)
    return [found[key] for key in sorted(found)]
