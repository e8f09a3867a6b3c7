"""Text into HTML as text, whatever is in it: nothing in a log line may act, hide or turn the reading order around."""

from __future__ import annotations

import re
import unicodedata
from datetime import UTC, datetime

from markupsafe import Markup, escape

from incidentlens.model.clock import SECOND
from incidentlens.model.times import duration, utc

# Control characters but tab and line feed, what turns the direction of text, what is invisible, half characters.
_HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff"
    "\U000e0000-\U000e007f]"
)
_COLOURS = re.compile("\x1b\\[[0-9;]{0,32}m")


def visible(text: str) -> str:
    """The text with every hidden character named: for titles, attributes and whatever a template shows."""
    return _HIDDEN.sub(_name, text) if _HIDDEN.search(text) else text


def shown(value: object) -> object:
    """Jinja's `finalize`: nothing for None, text made visible, markup as it is (it has been through here)."""
    if value is None:
        return ""
    if isinstance(value, str) and not isinstance(value, Markup):
        return visible(value)
    return value


def log_text(text: str) -> Markup:
    """A log line as markup: escaped, terminal colours left out, hidden characters as small marks."""
    plain = _COLOURS.sub("", text.replace("\r\n", "\n"))
    pieces: list[Markup] = []
    at = 0
    for found in _HIDDEN.finditer(plain):
        char = found[0]
        pieces.append(escape(plain[at : found.start()].encode("utf-8", "replace").decode()))
        title = unicodedata.name(char, "control character").lower()
        pieces.append(Markup('<span class="ctl" title="{}">{}</span>').format(title, _name(found)))
        at = found.end()
    pieces.append(escape(plain[at:]))
    return Markup("").join(pieces)


def template_text(text: str) -> Markup:
    """A signature's template as markup: its variable parts as small marks."""
    return Markup(str(log_text(text)).replace("&lt;*&gt;", '<var title="variable part">*</var>'))  # noqa: S704 (escaped)


def prose(text: str) -> Markup:
    """A sentence as markup; what stands between backticks is code."""
    parts = text.split("`")
    if len(parts) % 2 == 0:  # a backtick without its other half
        return log_text(text)
    return Markup("").join(
        Markup("<code>{}</code>").format(log_text(part)) if index % 2 else log_text(part)
        for index, part in enumerate(parts)
    )


def _name(found: re.Match[str]) -> str:
    code = ord(found[0])
    return chr(0x2400 + code) if code < 0x20 else f"⟨U+{code:04X}⟩"


def when(ns: int | None, now: int | None = None) -> Markup:
    """A time (ns) in UTC as a `<time>`, with its age where `now` is given; a dash for none."""
    if ns is None:
        return Markup('<span class="dim">–</span>')
    stamp = Markup('<time datetime="{}">{}</time>').format(iso(ns), utc(ns))
    return stamp if now is None else Markup("{} {}").format(stamp, age(ns, now))


def age(ns: int | None, now: int) -> Markup:
    """How long ago, short; the full time in its title. A page's script keeps it right."""
    if ns is None:
        return Markup('<span class="dim">–</span>')
    return Markup('<time class="ago" datetime="{}" title="{}" data-ago="{}">{}</time>').format(
        iso(ns), utc(ns), ns // 1_000_000, ago(now - ns)
    )


def clock_time(ns: int) -> Markup:
    """Only the time of day to the millisecond, the full time in its title."""
    try:
        moment = datetime.fromtimestamp(ns // SECOND, UTC)
    except (OverflowError, OSError, ValueError):
        return Markup("{}").format(f"{ns} ns")
    text = f"{moment:%H:%M:%S}.{ns % SECOND // 1_000_000:03d}"
    return Markup('<time datetime="{}" title="{}">{}</time>').format(iso(ns), utc(ns), text)


def ago(ns: int) -> str:
    """`now`, `42 s ago`, `5 min ago`, `3 h ago`, `2 d ago`; in the future `in 5 min`."""
    seconds = abs(ns) // SECOND
    if seconds < 5:
        return "now"
    for size, name in ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")):
        if seconds >= size:
            length = f"{seconds // size} {name}"
            break
    return f"{length} ago" if ns > 0 else f"in {length}"


def iso(ns: int) -> str:
    """For `datetime` attributes."""
    try:
        return datetime.fromtimestamp(ns // SECOND, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (OverflowError, OSError, ValueError):
        return ""


def length(ns: float | None) -> str:
    """A length of time in its two largest units, below a second in milliseconds; a dash for none."""
    if ns is None:
        return "–"
    return f"{ns / 1e6:.0f} ms" if 0 < ns < SECOND else duration(round(ns))


def number(value: float | None) -> str:
    """`12,345`, and above a hundred thousand `1.2 M`."""
    if value is None:
        return "–"
    for size, name in ((10**9, "G"), (10**6, "M")):
        if abs(value) >= size:
            return f"{value / size:.1f} {name}"
    if abs(value) >= 100_000:
        return f"{value / 1000:.0f} k"
    return f"{value:,.0f}" if abs(value) >= 10 or float(value).is_integer() else f"{value:.1f}"


def percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.0f} %"


def rate(per_minute: float) -> str:
    """Records a minute, with as many digits as say something."""
    return f"{per_minute:,.0f}" if per_minute >= 100 else f"{per_minute:.3g}"
