"""Which services and hosts a line names, in whatever way it writes them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache

import re2

_TOKEN = re2.compile(r"[A-Za-z0-9][A-Za-z0-9_\-]*(?:\.[A-Za-z0-9_\-]+)*(?::\d{2,5})?")
_CAMEL = re2.compile(r"([a-z0-9])([A-Z])")
_HOST_PORT = re2.compile(r"^(?:[a-z][a-z0-9_\-]*(?:\.[a-z0-9_\-]+)*|\d{1,3}(?:\.\d{1,3}){3}):\d{2,5}$")
_URL_HOST = re2.compile(
    r"(?i)\b[a-z][a-z0-9+.\-]{1,15}://(?:[^/@\s\"']{1,100}@)?([a-z0-9_\-]+(?:\.[a-z0-9_\-]+)*(?::\d{1,5})?)"
)
_DOMAIN = re2.compile(
    r"^[a-z0-9][a-z0-9\-]*(?:\.[a-z0-9\-]+)*\."
    r"(?:com|net|org|io|dev|app|cloud|local|internal|svc|cluster\.local|example|test)$"
)
_BEFORE = re2.compile(
    r"(?i)\b(?:service|upstream|backend|dependency|host|server|from|to|by|calling|call|called|via|with|peer|container|"
    r"pod|deployment|job|process|app|component|(?:upstream|waiting|instances?|endpoints?|route) for)[\s=:]+[\"'`\[(]?$"
)
_AFTER = re2.compile(
    r"(?i)^[\"'`\])]?(?:[ _\-]service\b| (?:did not|does not|is not|is|was) "
    r"(?:answer|respond|reachable|available|ready|"
    r"down|unavailable|unreachable)|"
    r" (?:says|said|replied|reports|answered|responded|returned|refused|rejected|timed out|unavailable|unreachable)\b)"
)
_POD_TAIL = re2.compile(r"^(.+?)(?:-[a-z0-9]*[0-9][a-z0-9]*){1,2}(?:-[a-z0-9]{5})?$")
_SUFFIXES = ("service", "svc", "server", "app", "api", "worker", "backend", "deployment", "master", "primary", "0")
_MAX_TEXT = 4_000
_MAX_FOUND = 50


@lru_cache(maxsize=4096)  # lines say the same words again and again
def canonical(name: str) -> str:
    """A name as compared: camel case, underscores and dots become dashes, lower case."""
    spaced: str = _CAMEL.sub(r"\1-\2", name)
    return spaced.lower().replace("_", "-").replace(".", "-").strip("-")


class Names:
    """The known services and every way in which lines may write them.

    A name of two or more words is looked for as it is, and without a prefix that most services share. A name of one
    word ("payment") is ordinary English too: it counts only as a host, before a port, with a suffix such as
    `-service`, or after a word such as "upstream".
    """

    def __init__(self, services: Iterable[str]) -> None:
        self._words: dict[str, str] = {}  # any place in the text
        self._single: dict[str, str] = {}  # only where it can be nothing but a name
        known = sorted({name for name in services if name and name != "unknown"})
        prefix = _shared_prefix([canonical(name) for name in known])
        for name in known:
            whole = canonical(name)
            forms = {whole}
            if prefix and whole.startswith(prefix) and len(whole) > len(prefix):
                forms.add(whole[len(prefix) :])
            for form in sorted(forms, key=len, reverse=True):
                words = form.split("-")
                if len(words) > 1:
                    self._words.setdefault(form, name)
                    if words[-1] in _SUFFIXES:
                        self._single.setdefault("-".join(words[:-1]), name)
                else:
                    self._single.setdefault(form, name)
                    for suffix in _SUFFIXES[:4]:
                        self._words.setdefault(f"{form}-{suffix}", name)

    def find(self, text: str, itself: str = "") -> list[str]:
        """Services, `host:port`s and hosts of URLs that `text` names, in order, without `itself`; at most 50."""
        head = text[:_MAX_TEXT]
        found: dict[str, None] = {}
        hosts = {match.group(1).lower() for match in _URL_HOST.finditer(head)}
        for match in _TOKEN.finditer(head):
            for name in self._resolve(head, match.start(), match.group(0), hosts):
                if name != itself:
                    found.setdefault(name)
            if len(found) >= _MAX_FOUND:
                break
        return list(found)

    def _resolve(self, text: str, start: int, token: str, hosts: set[str]) -> Iterator[str]:
        lowered = token.lower()
        bare, _, port = lowered.partition(":")
        host = lowered in hosts or bare in hosts
        if bare == "localhost" or bare.startswith("127."):
            return
        first = bare.split(".", 1)[0]
        form = canonical(token.partition(":")[0])
        for candidate in (form, canonical(first)) if "." in bare else (form,):
            if candidate in self._words:
                yield self._words[candidate]
                return
            if candidate in self._single and (host or port or _reads_as_name(text, start, token)):
                yield self._single[candidate]
                return
        pod = _POD_TAIL.match(form) if "-" in form else None
        if pod and (name := self._words.get(pod.group(1)) or self._single.get(pod.group(1))):
            yield name
            return
        if "." in bare and (nested := self._nested(token)):
            yield nested
            return
        if port and _HOST_PORT.match(lowered) and not bare.isdigit():
            yield lowered
        elif (host or _DOMAIN.match(bare)) and "." in bare:
            yield bare

    def _nested(self, token: str) -> str | None:
        """A service named by one part of a dotted name: `orders.svc.cluster.local`, `com.example.OrderService`."""
        for part in token.partition(":")[0].split("."):
            form = canonical(part)
            if form in self._words:
                return self._words[form]
        return None


def _reads_as_name(text: str, start: int, token: str) -> bool:
    """`upstream payment`, `service=payment`, `payment did not answer`, `payment service`."""
    end = start + len(token)
    return bool(_AFTER.search(text[end : end + 24]) or _BEFORE.search(text[max(0, start - 20) : start]))


def _shared_prefix(names: list[str]) -> str:
    """A first word that at least three and a third of the names share, with its dash: `ts-`."""
    firsts: dict[str, int] = {}
    for name in names:
        first, dash, _ = name.partition("-")
        if dash:
            firsts[first] = firsts.get(first, 0) + 1
    if not firsts:
        return ""
    best = max(firsts, key=lambda first: firsts[first])
    return f"{best}-" if firsts[best] >= 3 and firsts[best] * 3 >= len(names) else ""
