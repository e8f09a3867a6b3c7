"""Runbooks as teams have them: plain Markdown with sections such as Meaning, Impact, Diagnosis and Mitigation.

Front matter is optional; of it only the keys below are read, the rest is the team's own. One without patterns is found
by its text alone; one that says no severity and disposition decides nothing.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field

from incidentlens.model import yamlfile
from incidentlens.model.terms import Disposition, Severity
from incidentlens.model.yamlfile import Document, YamlError

from .model import ObserveThreshold, Runbook, RunbookVerification
from .text import split_name

if TYPE_CHECKING:
    from markdown_it import MarkdownIt

MAX_BYTES = 512 * 1024
ENDINGS = (".md", ".markdown")
TELLS = ("meaning", "description", "summary", "overview", "about")  # sections that say what it is
ACTS = ("diagnosis", "mitigation", "steps", "resolution", "remediation", "actions", "investigation", "response", "fix")
_NO_RUNBOOKS = ("readme", "index", "contributing", "changelog", "license", "code_of_conduct")
_FRONT = re.compile(r"\A\ufeff?---[ \t]*\r?\n(.*?\r?\n)?---[ \t]*(?:\r?\n|\Z)", re.DOTALL)
_TOML = re.compile(r"\A\ufeff?\+\+\+[ \t]*\r?\n.*?\r?\n\+\+\+[ \t]*(?:\r?\n|\Z)", re.DOTALL)
_TAGS = re.compile(r"</?(?:details|summary|br|p|div|span|a|b|i|sub|sup|hr|img|center)\b[^>]{0,500}>", re.IGNORECASE)
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_FENCE = re.compile(r"^ {0,3}(```|~~~)")
_MAX_STEPS = 20
_STEP = 400  # characters


class FrontMatter(BaseModel):
    """What is read of a Markdown runbook's front matter; other keys are the team's own."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: str | None = Field(default=None, pattern=r"^[a-z0-9][a-z0-9_-]*$")
    name: str | None = None
    title: str | None = None
    description: str = ""
    default_severity: Severity | None = None
    severity: Severity | None = None
    disposition: Disposition | None = None
    patterns: tuple[str, ...] = ()
    services: tuple[str, ...] = ()
    labels: dict[str, str] = Field(default_factory=dict)
    links: tuple[str, ...] = ()
    observe_threshold: ObserveThreshold | None = None
    cooldown_minutes: float = Field(default=15, ge=0, allow_inf_nan=False)
    verification: RunbookVerification = RunbookVerification()


def is_runbook(path: Path) -> bool:
    """A Markdown file that is one: not a README, an index, or a file whose name begins with `_`."""
    stem = path.stem.lower()
    return path.suffix.lower() in ENDINGS and not stem.startswith(("_", ".")) and stem not in _NO_RUNBOOKS


def load_markdown(path: str | Path) -> tuple[Runbook, Document]:
    """The runbook, and its front matter with its lines (empty where it has none). Raises YamlError."""
    text = _read(Path(path))
    found = _FRONT.match(text)
    front = found.group(1) or "" if found else ""
    # The line of the first --- stands before it, so that lines are counted as the file has them.
    document = yamlfile.parse("\n" + front, str(path))
    head = document.validate(FrontMatter) if document.data is not None else FrontMatter()
    body = text[found.end() :] if found else _TOML.sub("", text)
    parts = sections(body)
    heading = next((title for level, title, _ in parts if level == 1 and title), "")
    name = head.name or heading or head.title or split_name(Path(path).stem)
    says = {title.lower(): said for _, title, said in parts}
    severity = head.default_severity or head.severity
    described = head.description or next((" ".join(says[key]) for key in TELLS if says.get(key)), "")
    steps = [said for _, title, paragraphs in parts if title.lower() in ACTS for said in paragraphs]
    runbook = Runbook(
        id=head.id or slug(Path(path).stem),
        name=name[:300],
        description=described[:1_000],
        default_severity=severity or Severity.MEDIUM,
        disposition=head.disposition or Disposition.NEEDS_DEV,
        patterns=head.patterns,
        steps=tuple(step[:_STEP] for step in steps[:_MAX_STEPS]),
        observe_threshold=head.observe_threshold,
        cooldown_minutes=head.cooldown_minutes,
        services=head.services,
        labels=head.labels,
        links=head.links,
        verification=head.verification,
        source=str(path),
        body=body.strip(),
        decides=bool(head.patterns) and severity is not None and head.disposition is not None,
    )
    return runbook, document


def slug(name: str) -> str:
    """`KubePodCrashLooping` as an id: `kube-pod-crash-looping`."""
    return re.sub(r"[^a-z0-9]+", "-", split_name(name).lower()).strip("-")[:100] or "runbook"


def sections(body: str) -> list[tuple[int, str, list[str]]]:
    """(level, title, paragraphs and list items as plain text) of each heading of level 1 or 2; "" is what comes before.

    Deeper headings belong to the section they stand in.
    """
    found: list[tuple[int, str, list[str]]] = [(0, "", [])]
    tokens = parser().parse(without_tags(body))
    for index, token in enumerate(tokens):
        if token.type != "inline":
            continue
        opening = tokens[index - 1]
        plain = " ".join(_plain(token).split())
        if opening.type == "heading_open" and opening.tag in ("h1", "h2"):
            found.append((int(opening.tag[1]), plain, []))
        elif opening.type == "paragraph_open" and plain:
            found[-1][2].append(plain)
    return found


def without_tags(body: str) -> str:
    """Without HTML comments and the tags that people use in Markdown; what stands in code is left as it is."""
    lines, fenced = [], False
    for line in _COMMENT.sub("", body).splitlines():
        if _FENCE.match(line):
            fenced = not fenced
        lines.append(line if fenced else _TAGS.sub("", line))
    return "\n".join(lines)


@cache
def parser() -> MarkdownIt:
    """CommonMark with tables; no HTML, no images, and only links to http and https. Imported when first needed."""
    from markdown_it import MarkdownIt

    made = MarkdownIt("commonmark", {"html": False, "maxNesting": 20}).enable("table").disable("image")
    made.validateLink = lambda url: url.lower().startswith(("https://", "http://"))  # type: ignore[method-assign]
    return made


def _plain(token: Any) -> str:
    """An inline token's text without its marks."""
    breaks = ("softbreak", "hardbreak")
    return "".join(" " if child.type in breaks else child.content for child in token.children or ())


def _read(path: Path) -> str:
    try:
        with open(path, "rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise YamlError(path, 0, "", f"cannot be read: {error.strerror or error}") from error
    if len(content) > MAX_BYTES:
        raise YamlError(path, 0, "", f"is larger than {MAX_BYTES:,} bytes; a runbook is read by people in a hurry")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise YamlError(path, line, "", "is not UTF-8 text; save it as UTF-8") from error
