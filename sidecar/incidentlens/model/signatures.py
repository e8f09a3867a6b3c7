"""The catalogue's entries and the users' own grouping rules."""

from __future__ import annotations

from pydantic import Field

from .base import Value
from .terms import Level


class Template(Value):
    """One catalogue entry. `signature` never changes; `template` may grow more general as lines arrive."""

    signature: str
    template: str
    family: str  # readable area: db, auth, payment, infra, app, data, security, http, net, ...
    level: Level
    first_seen: int
    last_seen: int
    count: int = 0
    alias_of: str | None = None  # set when two templates turned out to be one: the old name leads to the new
    label: str | None = None  # a person's own name for it


class MaskRule(Value):
    """A user's mask: every match of `pattern` (RE2) becomes `replacement` before grouping."""

    name: str
    pattern: str
    replacement: str = "<*>"


class GroupRule(Value):
    """A user's grouping: messages that match `pattern` (RE2) share one signature, whatever else they say."""

    name: str
    pattern: str
    services: tuple[str, ...] = ()  # empty: every service
    signature: str | None = None  # a fixed readable name; otherwise built from `name`


class SignatureRules(Value):
    """What a project adds to signatures: masks first, then groupings, then noise to leave out."""

    masks: tuple[MaskRule, ...] = ()
    groups: tuple[GroupRule, ...] = ()
    noise: tuple[GroupRule, ...] = ()  # known noise: counted, never a problem


class SignatureCount(Value):
    """How often one signature came in one service in one bucket of time."""

    service: str
    signature: str
    level: Level
    bucket: int  # start of the bucket, ns
    count: int = Field(ge=0)
