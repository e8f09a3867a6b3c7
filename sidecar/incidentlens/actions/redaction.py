"""Masking secrets and personal data before a text leaves the process.

Covered: private keys, the well-known shapes of tokens (AWS, GitHub, GitLab, Slack, Stripe, Google, npm), JWTs,
Authorization headers, cookies, values of keys named like secrets, passwords in URLs, e-mail addresses, card numbers
(checked by Luhn's formula) and IBANs (checked by ISO 7064 mod 97). Not covered: names, postal addresses, telephone
numbers, IP addresses (they are evidence), and secrets that look like nothing in particular.

Mask first and cut afterwards: half a secret is not recognised any more.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import re2

from incidentlens.model.base import Value

MAX_TEXT = 1_000_000  # characters; what is beyond is cut, back to the last space


class Masked(Value):
    """How often something of that kind was masked."""

    kind: str
    count: int


class Redacted(Value):
    """The text that may leave, and what was masked in it."""

    text: str
    masked: tuple[Masked, ...] = ()


def redact(text: str) -> Redacted:
    """Every secret found is replaced by `[masked:kind]`."""
    counter: Counter[str] = Counter()
    masked = mask(text, counter)
    return Redacted(text=masked, masked=summary(counter))


def summary(counter: Counter[str]) -> tuple[Masked, ...]:
    """What a counter filled by `mask` holds, by kind."""
    return tuple(Masked(kind=kind, count=count) for kind, count in sorted(counter.items()))


def mask(text: str, counter: Counter[str]) -> str:
    """The masked text; adds to `counter` what was masked."""
    text = text.encode("utf-8", "replace").decode()
    if len(text) > MAX_TEXT:
        text = text[:MAX_TEXT].rpartition(" ")[0]
        counter["cut"] += 1
    for kind, pattern, check in _RULES:
        if pattern.search(text) is not None:
            text = pattern.sub(_replacer(kind, check, counter), text)
    return text


def _replacer(kind: str, check: Callable[[str], bool] | None, counter: Counter[str]) -> Callable[[Any], str]:
    def replace(match: Any) -> str:
        """Group `keep` stays before the mask, group `after` behind it; the rest of the match is the secret."""
        groups = match.groupdict()
        if check is not None and not check(match.group(0)):
            return str(match.group(0))
        counter[kind] += 1
        return f"{groups.get('keep') or ''}[masked:{kind}]{groups.get('after') or ''}"

    return replace


def luhn(text: str) -> bool:
    """True where the digits are a card number by Luhn's formula, and not one digit repeated."""
    digits = [int(char) for char in text if char.isdigit()]
    if not 13 <= len(digits) <= 19 or len(set(digits)) < 2:
        return False
    doubled = [digit if index % 2 == 0 else sum(divmod(digit * 2, 10)) for index, digit in enumerate(reversed(digits))]
    return sum(doubled) % 10 == 0


def iban(text: str) -> bool:
    """True where the check digits are right (ISO 13616: the number moved by four, letters from 10, is 1 mod 97)."""
    plain = "".join(text.split()).upper()
    if not 15 <= len(plain) <= 34:
        return False
    return int("".join(str(int(char, 36)) for char in plain[4:] + plain[:4])) % 97 == 1


def _random(text: str) -> bool:
    """True where the last word is hardly one of a sentence (`basic validation failed`)."""
    word = text.split()[-1]
    return len(word) >= 24 or any(char.isdigit() or char == "=" for char in word)


def _credentials(text: str) -> bool:
    """False where only the scheme is left, its value masked already."""
    return text.split()[-1].lower() not in ("bearer", "basic", "digest", "negotiate", "token")


def _rule(
    kind: str, pattern: str, check: Callable[[str], bool] | None = None
) -> tuple[str, Any, Callable[[str], bool] | None]:
    options = re2.Options()
    options.log_errors = False
    return kind, re2.compile(pattern, options), check


_NAMES = (
    r"[a-z0-9_.-]{0,40}(?:passwd|password|passphrase|pwd|secret|api[_-]?key|apikey|access[_-]?key|auth[_-]?token"
    r"|access[_-]?token|refresh[_-]?token|id[_-]?token|session[_-]?(?:id|token|key)|private[_-]?key|client[_-]?secret"
    r"|credentials?|signing[_-]?key|encryption[_-]?key)"
)
_SHORT_NAMES = r"(?:token|pin|cvv|cvc)"  # words of ordinary sentences too: `invalid token: unexpected end`
_ANY = rf"(?:{_NAMES}|{_SHORT_NAMES})"
_RULES = (
    _rule("private_key", r"(?s)-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----.*?(?:-----END [A-Z ]{0,30}PRIVATE KEY-----|\z)"),
    _rule("jwt", r"\beyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]{5,}(?:\.[A-Za-z0-9_-]*)?"),
    _rule(
        "token",
        r"\b(?:(?:AKIA|ASIA)[A-Z0-9]{16}|gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,}|glpat-[A-Za-z0-9_-]{15,}"
        r"|xox[abeoprs]-[A-Za-z0-9-]{10,}|(?:sk|rk|pk)_(?:live|test)_[A-Za-z0-9]{10,}|whsec_[A-Za-z0-9]{10,}"
        r"|AIza[A-Za-z0-9_-]{30,}|npm_[A-Za-z0-9]{30,}|glsa_[A-Za-z0-9_]{20,}|sk-[A-Za-z0-9_-]{20,}|hvs\.[A-Za-z0-9_-]{20,}"
        r"|ya29\.[A-Za-z0-9_-]{20,}|dop_v1_[a-f0-9]{30,})",
    ),
    _rule(
        "authorization",
        r"(?i)(?P<keep>\b(?:proxy-)?authorization[\"']?\s{0,4}[:=]\s{0,4}[\"']?(?:[a-z]+\s+)?)[^\s\"',;\[]+",
        _credentials,
    ),
    _rule("authorization", r"(?i)(?P<keep>\b(?:bearer|basic)\s+)[A-Za-z0-9+/_.~-]{8,}={0,2}", _random),
    _rule("cookie", r"(?i)(?P<keep>\b(?:set-)?cookie[\"']?\s{0,4}[:=]\s{0,4}[\"']?)[^\r\n\"'\[]+"),
    _rule(
        "url_password", r"(?P<keep>\b[a-zA-Z][a-zA-Z0-9+.-]{1,20}://[^\s:/@\"']{0,100}:)[^\s/@\"']{1,200}(?P<after>@)"
    ),
    _rule(
        "secret",
        r"(?i)(?P<keep>\b" + _ANY + r"\\?[\"']?\s{0,4}(?:=>|[:=])\s{0,4}\\?\")[^\"\\]{1,500}",
    ),
    _rule(
        "secret",
        r"(?i)(?P<keep>\b" + _ANY + r"\\?[\"']?\s{0,4}(?:=>|[:=])\s{0,4}')[^']{1,500}",
    ),
    _rule(
        "secret",
        rf"(?i)(?P<keep>\b(?:{_NAMES}\s{{0,4}}(?:=>|=|:\s)|{_SHORT_NAMES}\s?=)"
        + r"\s{0,4})[^\s\"',;&\[\]{}()<>]{1,500}",
    ),
    _rule("email", r"\b[A-Za-z0-9._%+-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}\b"),
    _rule("iban", r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,4})?\b", iban),
    _rule("card", r"\b\d(?:[ -]?\d){12,18}\b", luhn),
)
