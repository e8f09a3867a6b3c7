"""A runbook's patterns: RE2, without regard to case, bounded in size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import re2

MAX_PATTERN = 1_000  # characters
MAX_TEXT = 8_000  # characters of one text that are searched


class PatternError(ValueError):
    """A pattern that RE2 does not take; the message says why."""


def _options() -> Any:
    options = re2.Options()
    options.case_sensitive = False
    options.log_errors = False
    options.max_mem = 4 << 20
    return options


def compile_pattern(pattern: str) -> Any:
    """The compiled pattern. Raises PatternError."""
    if not pattern.strip():
        raise PatternError("is empty; it would match everything")
    if len(pattern) > MAX_PATTERN:
        raise PatternError(f"is longer than {MAX_PATTERN} characters; make it several patterns")
    try:
        return re2.compile(pattern, _options())
    except re2.error as error:
        why = error.args[0].decode(errors="replace") if error.args and isinstance(error.args[0], bytes) else str(error)
        hint = "; RE2 has no look-around and no back-references" if "perl operator" in why or "escape" in why else ""
        raise PatternError(f"is no regular expression: {why}{hint}") from error
    except UnicodeEncodeError as error:
        raise PatternError("has characters that are not valid text") from error


def clean(text: str) -> str:
    """Text that RE2 takes: cut to the bound, lone surrogates replaced."""
    return text[:MAX_TEXT].encode("utf-8", "replace").decode()


class PatternSet:
    """Many patterns searched at once: RE2's filter first finds which of them a text's words leave possible."""

    def __init__(self, patterns: Sequence[str]) -> None:
        self.patterns = tuple(patterns)
        self._compiled = [compile_pattern(pattern) for pattern in self.patterns]
        self._filter: Any = None
        if self.patterns:
            self._filter = re2.Filter()
            for pattern in self.patterns:
                self._filter.Add(pattern, _options())
            self._filter.Compile()

    def hits(self, text: str) -> dict[int, str]:
        """Index of each pattern that is in the text, with what it matched."""
        if self._filter is None or not text:
            return {}
        searched = clean(text)
        found: dict[int, str] = {}
        for index in self._filter.Match(searched, True) or ():
            match = self._compiled[index].search(searched)
            if match is not None:
                found[index] = str(match.group(0))
        return found
