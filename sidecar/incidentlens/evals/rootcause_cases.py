"""The hand-written root-cause cases: what is expected of one, and whether an answer meets it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic import field_validator, model_validator

from incidentlens.model.base import Value

from .playing import CONFIDENT, Answer


class ExpectedCause(Value):
    """One incident's cause. `service` and `says` are alternatives: any one of them will do.

    `says`: words that the summary, or a line that the first step cites, must contain. `chain`: services that the chain
    must have, in this order, whatever else it has.
    """

    service: tuple[str, ...] = ()
    says: tuple[str, ...] = ()
    chain: tuple[str, ...] = ()
    undetermined: bool = False  # nothing sets one service apart: naming one is wrong

    @field_validator("service", "says", mode="before")
    @classmethod
    def _one_or_more(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _whole(self) -> ExpectedCause:
        if self.undetermined == bool(self.service):
            raise ValueError("needs either 'service' or 'undetermined: true'")
        return self


class RootCauseExpected(Value):
    """What ought to come of a case; without causes, nobody may be told of anything."""

    causes: tuple[ExpectedCause, ...]


@dataclass(frozen=True, slots=True)
class Grade:
    """Of one case. `cause`, `proof` and `chain` hold for every expected cause together."""

    cause: bool
    proof: bool  # the words are in what is cited
    chain: bool
    ranked: int  # place of the (first) expected service in the ranking over all incidents; 0: not in it
    undetermined: bool  # no cause was named where one was wanted
    confident_wrong: bool
    false_alarm: bool
    got: str


def grade(expected: RootCauseExpected, answer: Answer) -> Grade:
    """Compare an answer with what was expected."""
    got = "; ".join(_told(one) for one in answer.incidents[:4]) or "nothing"
    if not expected.causes:
        quiet = not answer.told
        return Grade(quiet, quiet, quiet, 0, False, not quiet, not quiet, got)
    shown = [one for one in answer.incidents if one["status"] != "suppressed"] or answer.incidents
    wanted = {service for one in expected.causes for service in one.service}
    considered = shown[: len(expected.causes)] if len(expected.causes) == 1 else shown[: len(expected.causes) + 1]
    found = [_best(one, considered) for one in expected.causes]
    leading = considered[: len(expected.causes)]
    wrong = [
        one
        for one in leading
        if (root := one["root_cause"])
        and not root["undetermined"]
        and root["service"] not in wanted
        and root["confidence"] >= CONFIDENT
    ]
    places = [answer.ranking.index(service) + 1 for service in wanted if service in answer.ranking]
    return Grade(
        cause=all(match is not None for match in found),
        proof=all(match is not None and _says(one, match) for one, match in zip(expected.causes, found, strict=True)),
        chain=all(
            match is not None and _in_order(one.chain, match) for one, match in zip(expected.causes, found, strict=True)
        ),
        ranked=min(places, default=0),
        undetermined=not any(one["root_cause"] and not one["root_cause"]["undetermined"] for one in leading),
        confident_wrong=bool(wrong),
        false_alarm=False,
        got=got,
    )


def _best(expected: ExpectedCause, incidents: list[dict[str, Any]]) -> dict[str, Any] | None:
    for one in incidents:
        root = one["root_cause"]
        if root and (root["undetermined"] if expected.undetermined else root["service"] in expected.service):
            return one
    return None


def _says(expected: ExpectedCause, incident: dict[str, Any]) -> bool:
    root = incident["root_cause"]
    cited = set(root["chain"][0]["evidence"]) if root["chain"] else set()
    lines = [item["line"] for item in incident["evidence"] if item["id"] in cited]
    text = "\n".join([root["summary"], *lines]).lower()
    return not expected.says or any(word.lower() in text for word in expected.says)


def _in_order(wanted: tuple[str, ...], incident: dict[str, Any]) -> bool:
    """True where the chain's services have `wanted` as a subsequence."""
    steps = iter([step["service"] for step in incident["root_cause"]["chain"]])
    return all(service in steps for service in wanted)


def _told(one: dict[str, Any]) -> str:
    root = one["root_cause"]
    who = "undetermined" if root is None or root["undetermined"] else f"{root['service']} {root['confidence']:.2f}"
    chain = ">".join(dict.fromkeys(step["service"] for step in root["chain"])) if root else ""
    return f"{who} [{chain}] {one['disposition']}"
