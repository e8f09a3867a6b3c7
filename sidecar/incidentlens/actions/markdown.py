"""Text into Markdown as text: whatever stands in it, it is no mention, no link, no image, no heading and no HTML."""

from __future__ import annotations

import re
import unicodedata

_ZERO_WIDTH = "\u200b"
_SPECIAL = re.compile(r"([\\`*_\[\]<>#|~!])")
_LINE_START = re.compile(r"^([-+=]|\d{1,9}[.)](?=\s|$))")
_FENCE = re.compile(r"`+")
_GROUP_MENTION = re.compile(r"@(?=everyone|here|channel|all\b|team)|(?<=<)(?=[@!#&:])", re.IGNORECASE)


class Markdown(str):
    """Text that is Markdown already and is not escaped again."""

    __slots__ = ()


def plain(text: str, limit: int | None = None) -> str:
    """One line without control characters and direction overrides; cut at the limit with an ellipsis."""
    shown = "".join(char if _shown(char) else " " for char in text)
    line = " ".join(shown.split())
    return line if limit is None or len(line) <= limit else line[: max(limit - 1, 0)].rstrip() + "…"


def tame(text: str, limit: int | None = None) -> str:
    """Plain text for labels: other programs put it into messages, so mentions and links in it are broken."""
    broken = plain(text).replace("@", "@" + _ZERO_WIDTH).replace("://", ":" + _ZERO_WIDTH + "//")
    broken = re.sub(r"(?i)\bwww\.", "www" + _ZERO_WIDTH + ".", broken)
    broken = re.sub(r"(?i)\bdiscord\.gg", "discord" + _ZERO_WIDTH + ".gg", broken).replace(
        "](", "]" + _ZERO_WIDTH + "("
    )
    return broken if limit is None or len(broken) <= limit else broken[: max(limit - 1, 0)].rstrip() + "…"


def escape(text: str) -> Markdown:
    """One line of text as Markdown that shows it."""
    escaped = _SPECIAL.sub(r"\\\1", tame(text))
    return Markdown(_LINE_START.sub(lambda found: f"{found.group()[:-1]}\\{found.group()[-1]}", escaped))


def unmarked(text: str) -> str:
    """What Markdown of `escape` reads like where nothing renders it: without its backslashes and its bold."""
    return re.sub(r"\\([!-/:-@\[-`{-~])|\*\*", lambda found: found[1] or "", text)


def code_block(text: str, limit: int = 4_000) -> Markdown:
    """A fenced block that nothing in the text can end; mentions of whole groups are broken in it too."""
    lines = "".join(char if char in "\n\t" or _shown(char) else " " for char in text)
    cut = lines if len(lines) <= limit else lines[:limit] + f"\n… ({len(lines) - limit:,} more characters)"
    longest = max((len(run) for run in _FENCE.findall(cut)), default=0)
    fence = "`" * max(3, longest + 1)
    return Markdown(f"{fence}\n{_GROUP_MENTION.sub(lambda m: m.group(0) + _ZERO_WIDTH, cut)}\n{fence}")


def code(text: str, limit: int = 200) -> Markdown:
    """Inline code that nothing in the text can end."""
    line = _GROUP_MENTION.sub(lambda m: m.group(0) + _ZERO_WIDTH, plain(text, limit)) or " "
    longest = max((len(run) for run in _FENCE.findall(line)), default=0)
    if not longest:
        return Markdown(f"`{line}`")
    fence = "`" * (longest + 1)
    return Markdown(f"{fence} {line} {fence}")


def _shown(char: str) -> bool:
    """Not control (Cc), not format (Cf: direction overrides, joiners), not a private, unassigned or half character."""
    return unicodedata.category(char) not in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
