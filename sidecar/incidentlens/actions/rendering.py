"""Texts by Jinja2 templates that users can replace, file by file, with a folder of their own.

Every value that a template shows is masked (redaction) and escaped for Markdown; a template cannot forget it. Text
that is Markdown already comes from the filters: `code`, `block`. Times are ns; `utc` and `duration` show them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
from jinja2.sandbox import ImmutableSandboxedEnvironment

from incidentlens.model.times import duration, utc

from .markdown import Markdown, code, code_block, escape, plain, tame
from .redaction import Masked, mask, summary

PACKAGE_TEMPLATES = Path(__file__).parent / "templates"
TEMPLATES = ("summary.md.j2", "ticket_title.md.j2", "ticket_body.md.j2", "war_room.md.j2", "report.md.j2")
MAX_OUTPUT = 200_000  # characters


class _Compiled(jinja2.BytecodeCache):
    """Templates compiled in this process, by their text: each project has a renderer of its own."""

    def __init__(self) -> None:
        self._code: dict[str, bytes] = {}

    def load_bytecode(self, bucket: jinja2.bccache.Bucket) -> None:
        if code := self._code.get(bucket.key + bucket.checksum):
            bucket.bytecode_from_string(code)

    def dump_bytecode(self, bucket: jinja2.bccache.Bucket) -> None:
        self._code[bucket.key + bucket.checksum] = bucket.bytecode_to_string()


_COMPILED = _Compiled()


class Renderer:
    """Renders by name, one text after the other (not for several threads).

    A user's template that fails is replaced by the package's own, and `errors` says so; a changed one is read again.
    """

    def __init__(self, template_dirs: Sequence[str | Path] = ()) -> None:
        self._folders = [Path(folder) for folder in template_dirs]
        self._counter: Counter[str] = Counter()
        self._own = self._environment([PACKAGE_TEMPLATES])
        self._users = self._environment(self._folders) if self._folders else None
        self.errors: list[str] = []

    def start(self) -> Renderer:
        """Begin a new text: what was masked and what failed is counted anew. Templates stay compiled."""
        self._counter.clear()
        self.errors = []
        return self

    def check(self) -> list[str]:
        """What is wrong with the users' templates: a folder that is not there, syntax, a name that is no template."""
        found = [f"{folder}: is not a folder" for folder in self._folders if not folder.is_dir()]
        for folder in self._folders:
            for path in sorted(folder.glob("*.j2")):
                if path.name not in TEMPLATES:
                    found.append(f"{path}: is not used; the templates are {', '.join(TEMPLATES)}")
                    continue
                try:
                    self._environment([folder]).get_template(path.name)
                except (jinja2.TemplateError, UnicodeDecodeError, OSError) as error:
                    found.append(_describe(str(path), error))
        return found

    def render(self, name: str, context: Mapping[str, Any]) -> str:
        """The text, at most 200,000 characters. Values are masked and escaped on their way in."""
        if self._users is not None:
            before = self._counter.copy()
            try:
                return _bounded(self._users.get_template(name).render(context))
            except jinja2.TemplateNotFound as error:
                if error.name != name:  # not there is well: the package's own is used; but an include is missing
                    self.errors.append(_describe(name, error))
            except Exception as error:  # a user's template may raise anything
                self.errors.append(_describe(name, error))
            self._counter.clear()
            self._counter.update(before)
        return _bounded(self._own.get_template(name).render(context))

    def clean(self, text: str, limit: int) -> str:
        """Masked, then tamed for a label and cut: plain text on one line."""
        return tame(mask(text, self._counter), limit)

    def escaped(self, text: str, limit: int) -> str:
        """Masked, then escaped for Markdown, cut so that the whole has at most `limit` characters."""
        masked = plain(mask(text, self._counter))
        keep = min(len(masked), limit)
        while True:
            shown = escape(masked if keep == len(masked) else masked[:keep].rstrip() + "…")
            if len(shown) <= limit or keep <= 0:
                return str(shown)[:limit]
            keep -= max(1, len(shown) - limit) // 2 + 1

    @property
    def masked(self) -> tuple[Masked, ...]:
        """What was masked in all that this renderer has rendered."""
        return summary(self._counter)

    def _environment(self, folders: Sequence[Path]) -> jinja2.Environment:
        environment = ImmutableSandboxedEnvironment(
            loader=jinja2.FileSystemLoader([str(folder) for folder in folders]),
            undefined=jinja2.StrictUndefined,
            autoescape=False,
            bytecode_cache=_COMPILED,
            finalize=self._finalize,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
        )
        environment.filters |= {
            "utc": utc,
            "duration": duration,
            "code": lambda value, limit=200: code(mask(str(value), self._counter), limit),
            "block": lambda value, limit=4_000: code_block(mask(str(value), self._counter), limit),
            "cut": lambda value, limit: plain(mask(str(value), self._counter), limit),
        }
        return environment

    def _finalize(self, value: object) -> str:
        if isinstance(value, Markdown):
            return value
        return "" if value is None else escape(mask(str(value), self._counter))


def _bounded(text: str) -> str:
    if len(text) <= MAX_OUTPUT:
        return text
    return text[:MAX_OUTPUT] + f"\n\n… ({len(text) - MAX_OUTPUT:,} more characters were cut off)\n"


def _describe(name: str, error: Exception) -> str:
    line = getattr(error, "lineno", None)
    place = f"{name}:{line}" if line else name
    return f"{place}: {type(error).__name__}: {plain(str(error), 200)}"
