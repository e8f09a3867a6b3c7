"""Why a message has its signature: masks, rules and merges, told in order."""

from __future__ import annotations

from collections.abc import Callable

import polars as pl

from incidentlens.model.base import Value
from incidentlens.model.terms import Level

from .masks import COLOURS, fired
from .rules import Rules

MAX_TEXT = 4_096  # characters of a message that a signature is built from


class Explanation(Value):
    """Why a message has its signature."""

    message: str
    level: Level
    text: str  # what the signature is built from: the message's first line, or the innermost exception
    masks: tuple[tuple[str, str, str], ...]  # (mask, what it stands for, the text after it), in order
    masked: str
    signature: str
    template: str
    family: str
    rule: str | None = None  # the project's own rule that decided
    reasons: tuple[str, ...] = ()  # why texts were merged, and anything else that decided


def signature_text() -> pl.Expr:
    """What a signature is built from: the innermost exception, else the message's first line that is not blank."""
    message = pl.col("message").fill_null("").str.strip_chars("\r\n")
    many = message.str.contains("\n", literal=True)
    first = pl.when(many).then(message.str.extract(r"^([^\n]*)", 1)).otherwise(message)
    return pl.coalesce(pl.when(pl.col("exception") != "").then(pl.col("exception")), first)


def explain(
    rules: Rules,
    lineage: Callable[[str], tuple[str, list[str]]],
    named: Callable[[str, Level], tuple[str, str, str]],
    *,
    message: str,
    level: Level,
    exception: str | None,
    service: str,
) -> Explanation:
    """Go the way of `Catalogue.sign` for one message.

    `lineage` gives a masked text's template and the reasons; `named` a template's signature, template and family.
    """
    texts = pl.DataFrame(
        {"message": [message], "exception": [exception], "service": [service]},
        schema={"message": pl.String, "exception": pl.String, "service": pl.String},
    ).select(signature_text().str.head(MAX_TEXT).str.replace_all(COLOURS, "").alias("text"), "service")
    columns = texts.select(
        "text",
        masked=rules.masked(pl.col("text")),
        rule=rules.matching(pl.col("text"), pl.col("service")),
    )
    text, own, index = columns.row(0)
    masked, steps = fired(own)
    masks = [(each.name, each.what, shown) for each, shown in steps]
    if own != text:
        masks.insert(0, ("rules", "the project's own masks", own))
    reasons = ["it has a stack trace: the innermost exception decides, not its frames"] if exception else []
    rule: str | None = None
    if index is not None:
        applied = rules.listed[index]
        rule = applied.rule.name
        signature, template, family = applied.signature(level), applied.template, applied.prefix
        reasons.append(f"the project's {applied.prefix} rule {rule!r} matches")
    else:
        final, why = lineage(masked)
        reasons += why
        signature, template, family = named(final, level)
    return Explanation(
        message=message,
        level=level,
        text=text,
        masks=tuple(masks),
        masked=masked,
        signature=signature,
        template=template,
        family=family,
        rule=rule,
        reasons=tuple(dict.fromkeys(reasons)),
    )
