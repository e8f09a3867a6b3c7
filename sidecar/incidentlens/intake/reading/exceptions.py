"""The innermost cause of a stack trace: what failed first, as `Type: message`."""

from __future__ import annotations

import re2

_LIMIT = 65_536  # characters of an event that are looked at
_TYPE = (
    r"(?:[A-Za-z_$][A-Za-z0-9_$]*(?:[.:\\/]{1,2}))*(?:[A-Z_][A-Za-z0-9_$]*)?"
    r"(?:Error|Exception|Fault|Failure|Interrupt|Exit|Throwable|Warning|Timeout)[A-Za-z0-9_$]*"
)
_HEAD = re2.compile(
    rf"^(?:.*?[\s:'(\[]|[^A-Za-z]*)?({_TYPE})['\])]?(?: with message '(.*)' in .*| \((.*)\):?\s*|: ?(.*))?$"
)
_BARE = re2.compile(r"^[A-Za-z_][A-Za-z0-9_.]*(?:: .*)?$")
_CAUSE = re2.compile(r"^\s*(?:Caused by:|\[cause\]:|Cause:|caused by)\s*(.+?)(?:\s*\{)?$")
_GO = re2.compile(r"^\s*(?:.*\s)?(panic|fatal error): (.*)$")
_FRAME = re2.compile(r"^\s*(?:at\s|#[0-9]+\s|\.\.\. [0-9]+|File \"|from |---)|^\s+\S+:[0-9]+|^\s*goroutine [0-9]+")


def innermost(text: str) -> str | None:
    """The innermost cause of the stack trace in an event's text, `Type: message`; None where it holds none.

    Java, Kotlin, Scala, Node and the like name the first cause last (`Caused by:`, `--->`); Python prints it first.
    """
    lines = text[:_LIMIT].split("\n")
    cause = None
    for line in lines:
        match = _CAUSE.search(line)
        if match:
            cause = match.group(1)
    if cause is not None:
        return _tidy(cause)
    for index, line in enumerate(lines):
        if "Traceback (most recent call last)" in line:
            return _python(lines[index + 1 :])
        match = _GO.search(line)
        if match:
            return _tidy(f"{match.group(1)}: {match.group(2)}")
        if "Unhandled exception:" in line and index + 1 < len(lines):
            said = line.split("Unhandled exception:", 1)[1].strip().removeprefix("Instance of ")
            return _tidy(said or lines[index + 1])
        if " panicked at " in line and line.startswith("thread '"):
            following = lines[index + 1] if line.rstrip().endswith(":") and index + 1 < len(lines) else line
            return _tidy("panic: " + following.strip())
        if " ---> " in line:
            return _tidy(line.rsplit(" ---> ", 1)[1])
    for line in lines:
        if _FRAME.search(line):
            continue
        match = _HEAD.search(line[:2000])
        if match:
            said = next((group for group in match.groups()[1:] if group), "")
            return _tidy(f"{match.group(1)}: {said}" if said else match.group(1))
    return None


def _python(lines: list[str]) -> str | None:
    """The line that ends the first traceback: the first that is neither a frame nor a frame's code."""
    inside = False
    for line in lines:
        stripped = line.strip()
        if stripped.startswith('File "'):
            inside = True
        elif inside and stripped and not line[:1].isspace() and _BARE.search(line[:500]):
            return _tidy(line)
        elif inside and stripped and not line[:1].isspace() and not stripped.startswith(("^", "~", "|")):
            match = _HEAD.search(line[:500])
            if match:
                return _tidy(line)
    for line in lines:  # one that was indented throughout, or drawn in a box
        stripped = line.strip(" \t│|╭╰")
        match = _HEAD.search(stripped[:500])
        if match and not stripped.startswith(("File ", "raise ")):
            said = next((group for group in match.groups()[1:] if group), "")
            return _tidy(f"{match.group(1)}: {said}" if said else match.group(1))
    return None


def _tidy(text: str) -> str | None:
    text = text.strip().rstrip(";").strip()[:1000]
    return text or None
