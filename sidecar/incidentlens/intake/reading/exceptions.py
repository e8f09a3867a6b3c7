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
_GO = re2.compile(r"^\s*(?:.*\s)?(panic|[Ff]atal error): (.*)$")
_RUBY = re2.compile(r"^\S+:[0-9]+:in [`'][^']*': (.*) \(([A-Z][A-Za-z0-9_:]*)\)$")
_ELIXIR = re2.compile(r"^\s*\*\* \(([A-Z][A-Za-z0-9_.]*)\) (.*)$")
_NUMBERED = re2.compile(r"^\s+(?:[0-9]+: )?(\S.*)$")
_FRAME = re2.compile(r"^\s*(?:at\s|#[0-9]+\s|\.\.\. [0-9]+|File \"|from |---)|^\s+\S+:[0-9]+|^\s*goroutine [0-9]+")


def innermost(text: str) -> str | None:
    """The innermost cause of the stack trace in an event's text, `Type: message`; None where it holds none.

    Java, Kotlin, Scala, Node and the like name the first cause last (`Caused by:`, `--->`); Python prints it first.
    """
    lines = text[:_LIMIT].split("\n")
    cause = _last_cause(lines)
    if cause is not None:
        return _tidy(cause)
    for index, line in enumerate(lines):
        if "Exception Group Traceback" in line:
            return _grouped(lines[index + 1 :]) or _python(lines[index + 1 :])
        if "Traceback (most recent call last)" in line:
            return _python(lines[index + 1 :])
        match = _GO.search(line)
        if match and "Uncaught" not in line:  # PHP: what is uncaught says its type
            return _tidy(f"{match.group(1)}: {match.group(2)}")
        if "Unhandled exception:" in line and index + 1 < len(lines):
            said = line.split("Unhandled exception:", 1)[1].strip().removeprefix("Instance of ")
            return _tidy(said or lines[index + 1])
        if " panicked at " in line and line.startswith("thread '"):
            following = lines[index + 1] if line.rstrip().endswith(":") and index + 1 < len(lines) else line
            return _tidy("panic: " + following.strip())
    for line in lines:
        if _FRAME.search(line):
            continue
        match = _HEAD.search(line[:2000])
        if match:
            said = next((group for group in match.groups()[1:] if group), "")
            return _tidy(f"{match.group(1)}: {said}" if said else match.group(1))
    return None


def _last_cause(lines: list[str]) -> str | None:
    """The last cause that is named as one: by Java, Node, Rust, C# (`--->`) and Ruby in their ways."""
    cause = None
    for index, line in enumerate(lines):
        if match := _CAUSE.search(line):
            cause = match.group(1)
        elif line.strip() == "Caused by:":
            for below in lines[index + 1 :]:
                numbered = _NUMBERED.search(below)
                if numbered is None:
                    break
                cause = numbered.group(1)
        elif "---> " in line:
            cause = line.rsplit("---> ", 1)[1]
        elif match := _RUBY.search(line):
            cause = f"{match.group(2)}: {match.group(1)}"
        elif match := _ELIXIR.search(line):
            cause = f"{match.group(1)}: {match.group(2)}"
    return cause


def _grouped(lines: list[str]) -> str | None:
    """The first exception inside a Python exception group, which comes below a line `+-+---- 1 ----`."""
    inside = False
    for line in lines:
        inside = inside or "+--" in line or "+-+" in line
        match = _HEAD.search(line.strip(" \t|")[:500]) if inside else None
        if match and not line.strip(" \t|").startswith(("File ", "raise ", "+")):
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
