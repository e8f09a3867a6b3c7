"""The parts of a template that stand in each of its lines as they are."""

from __future__ import annotations

import re

from incidentlens.model.incidents import Problem

MAX_CONSTANTS = 3
MIN_LENGTH = 4
MAX_LENGTH = 120
# A quote, a backslash or a letter outside ASCII may be escaped in a JSON line; two spaces may have been one.
_PLAIN = re.compile(r"[!#-\[\]-~]+(?: [!#-\[\]-~]+)*")
_EDGES = " \t:,;=.'()[]{}<>-"


def constants(problem: Problem) -> list[str]:
    """Up to three constant parts of the problem's template, the longest first, each once; maybe none.

    They come from one line of the template (a filter looks at one line at a time) and, where there are samples, only
    parts are given that stand in all of them: a template may have been made of a changed text.
    """
    lines = [sample.line for sample in problem.samples]
    for template_line in problem.template[:4_000].splitlines():
        found = []
        for part in template_line.split("<*>"):
            found += [text.strip(_EDGES)[:MAX_LENGTH].rstrip() for text in _PLAIN.findall(part)]
        usable = sorted({text for text in found if _telling(text)}, key=lambda text: (-len(text), text))
        kept: list[str] = []
        for text in usable:
            if all(text in line for line in lines) and not any(text in other for other in kept):
                kept.append(text)
        if kept:
            return kept[:MAX_CONSTANTS]
    return []


def _telling(text: str) -> bool:
    return len(text) >= MIN_LENGTH and sum(char.isalpha() for char in text) >= 3
