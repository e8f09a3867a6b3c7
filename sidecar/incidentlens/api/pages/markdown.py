"""A runbook's Markdown as HTML: no HTML of its own, no images, links to http and https only."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from markupsafe import Markup

from incidentlens.runbooks.markdown import parser, without_tags

_MAX = 60_000  # characters that are rendered
_DEEPER = 3  # a runbook's first heading is a third one of the page


@lru_cache(maxsize=500)
def rendered(body: str) -> Markup:
    """Safe HTML. What CommonMark does not know stands there as text."""
    made = parser()
    tokens = made.parse(without_tags(body[:_MAX]))
    for token in tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(6, int(token.tag[1]) + _DEEPER - 1)}"
        for child in token.children or ():
            _mark_link(child)
    cut = "" if len(body) <= _MAX else "<p>…</p>"
    # The renderer escapes all text, and the parser was given no HTML to let through.
    return Markup(made.renderer.render(tokens, made.options, {}) + cut)  # noqa: S704


def _mark_link(token: Any) -> None:
    if token.type == "link_open":
        token.attrSet("rel", "noreferrer noopener nofollow")
